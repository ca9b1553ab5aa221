import type { Session } from '../api/types';
import { connection } from '../state/fleet';
import { setTheme, type Theme, theme } from '../state/preferences';
import { location } from '../state/router';
import { signOut } from '../state/session';
import { useStore } from '../state/store';
import { Icon, type IconName, Logo } from './icons';
import { Menu, MenuItem } from './menu';
import { showHelp } from './shortcuts';

const THEMES: { theme: Theme; words: string; icon: IconName }[] = [
  { theme: 'system', words: 'As the system', icon: 'screen' },
  { theme: 'light', words: 'Light', icon: 'sun' },
  { theme: 'dark', words: 'Dark', icon: 'moon' },
];

export function ThemeMenu() {
  const current = useStore(theme);
  const icon = THEMES.find((one) => one.theme === current)?.icon ?? 'screen';
  return (
    <Menu label="Colours" button={<Icon name={icon} />} class="is-right">
      {(close) =>
        THEMES.map((one) => (
          <MenuItem
            key={one.theme}
            checked={one.theme === current}
            onSelect={() => {
              setTheme(one.theme);
              close();
            }}
          >
            <Icon name={one.icon} />
            {one.words}
          </MenuItem>
        ))
      }
    </Menu>
  );
}

export function TopBar({ session }: { session: Session }) {
  const { path } = useStore(location);
  return (
    <header class="top-bar">
      <a class="brand" href="/" aria-label="Cluster Gateway, fleet">
        <Logo />
        <span class="brand-name">Cluster Gateway</span>
      </a>
      <span
        class="brand-hub"
        title={`${session.server.mode === 'hub' ? 'Hub' : 'Standalone server'} ${session.server.name}`}
      >
        {session.server.name}
      </span>
      <nav class="top-nav" aria-label="Pages">
        <a href="/" aria-current={path === '/' ? 'page' : undefined}>
          Fleet
        </a>
        {session.permissions.join && (
          <a href="/join" aria-current={path === '/join' ? 'page' : undefined}>
            Join
          </a>
        )}
      </nav>
      <LiveSign />
      <button
        type="button"
        class="button quiet icon-only hide-small"
        aria-label="Keys and help"
        title="Keys and help"
        onClick={showHelp}
      >
        <Icon name="help" />
      </button>
      <ThemeMenu />
      <Menu label={`Signed in as ${session.user.username}`} button={<Icon name="user" />} class="is-right">
        {(close) => (
          <>
            <div class="menu-note" role="presentation">
              <b>{session.user.username}</b>
              <span>{session.user.groups.join(', ') || 'in no group'}</span>
              <span>
                {session.server.name}, {session.server.version}
              </span>
            </div>
            <MenuItem
              onSelect={() => {
                close();
                showHelp();
              }}
            >
              Keys and help
            </MenuItem>
            <MenuItem onSelect={() => void signOut()}>Sign out</MenuItem>
          </>
        )}
      </Menu>
    </header>
  );
}

function LiveSign() {
  const state = useStore(connection);
  const live = state?.connected ?? false;
  return (
    <span class={live ? 'live is-live' : 'live'} role="status">
      <span class="live-dot" aria-hidden="true" />
      <span class="live-words">{live ? 'Live' : state ? 'Offline' : 'Connecting'}</span>
    </span>
  );
}
