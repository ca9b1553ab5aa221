import './style/tokens.css';
import './style/base.css';
import './style/shell.css';
import './style/fleet.css';
import './style/cluster.css';
import './style/hops.css';
import './style/join.css';
import { render } from 'preact';
import { App } from './app';
import { followLinks } from './state/router';
import { loadSession } from './state/session';

followLinks();
void loadSession();
const root = document.getElementById('app');
if (root) render(<App />, root);
