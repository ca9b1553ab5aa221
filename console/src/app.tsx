import { useEffect } from 'preact/hooks';
import { ClusterPage } from './pages/cluster';
import { DoctorPage } from './pages/doctor';
import { FleetPage } from './pages/fleet';
import { JoinPage } from './pages/join';
import { LoginPage } from './pages/login';
import { NotFoundPage } from './pages/not-found';
import { startFleet, stopFleet } from './state/fleet';
import { go, location, route } from './state/router';
import { loadSession, session } from './state/session';
import { useStore } from './state/store';
import { Loading, Problem } from './ui/basics';
import { ConnectionBanner } from './ui/connection';
import { Shortcuts } from './ui/shortcuts';
import { Toasts } from './ui/toast';
import { TopBar } from './ui/top-bar';

/** How long to wait when the gateway could not be asked who we are. */
const TRY_AGAIN = 3000;

export function App() {
  const state = useStore(session);
  const here = useStore(location);
  const at = route(here.path);

  useEffect(() => {
    if (state.state === 'signedIn') {
      startFleet();
      return;
    }
    stopFleet();
    if (state.state === 'signedOut' && at.page !== 'login') {
      const wanted = here.path + (here.search.size ? `?${here.search}` : '');
      go(wanted === '/' ? '/login' : `/login?return=${encodeURIComponent(wanted)}`, true);
    }
  }, [state.state, at.page, here]);

  useEffect(() => {
    if (state.state !== 'failed') return;
    const timer = setTimeout(() => void loadSession(), TRY_AGAIN);
    return () => clearTimeout(timer);
  }, [state]);

  if (at.page === 'login') return <LoginPage />;
  if (state.state === 'failed') {
    return (
      <main class="page is-narrow">
        <div class="stack">
          <h1>Cluster Gateway does not answer</h1>
          <Problem error={state.error} onRetry={() => void loadSession()} />
        </div>
      </main>
    );
  }
  if (state.state !== 'signedIn') {
    return (
      <main class="page is-narrow">
        <Loading lines={2} />
      </main>
    );
  }
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <TopBar session={state.session} />
      <ConnectionBanner />
      <main
        id="main"
        class="page"
        key={at.page === 'cluster' || at.page === 'doctor' ? `${at.page}/${at.name}` : at.page}
      >
        <Page />
      </main>
      <Shortcuts />
      <Toasts />
    </>
  );
}

function Page() {
  const at = route(useStore(location).path);
  switch (at.page) {
    case 'fleet':
      return <FleetPage />;
    case 'cluster':
      return <ClusterPage name={at.name} />;
    case 'doctor':
      return <DoctorPage name={at.name} />;
    case 'join':
      return <JoinPage />;
    default:
      return <NotFoundPage />;
  }
}
