import { type Finding, HOPS, type Hop } from '../api/types';

/** How a hop is shown: its outcome, or that it is being tried, or that its turn has not come. */
export type HopState = Finding['outcome'] | 'Running' | 'Waiting';

export interface Walk {
  findings: ReadonlyMap<Hop, Finding>;
  running: Hop | null;
}

export const NOT_WALKED: Walk = { findings: new Map(), running: null };

/** What an event of a diagnosis makes of a walk. */
export function step(walk: Walk, event: string, data: unknown): Walk {
  if (event === 'hop') return { ...walk, running: (data as { hop: Hop }).hop };
  if (event !== 'finding') return walk;
  const finding = data as Finding;
  const running = walk.running === finding.hop ? null : walk.running;
  return { findings: new Map(walk.findings).set(finding.hop, finding), running };
}

export function hopState(walk: Walk, hop: Hop): HopState {
  return walk.findings.get(hop)?.outcome ?? (walk.running === hop ? 'Running' : 'Waiting');
}

/** The hop to look at first: the first that failed, else the first that warns. */
export function worst(walk: Walk): Finding | null {
  const inOrder = HOPS.map((hop) => walk.findings.get(hop)).filter((finding) => finding !== undefined);
  return inOrder.find((one) => one.outcome === 'Failed') ?? inOrder.find((one) => one.outcome === 'Warned') ?? null;
}

/** One line on how it went. */
export function verdict(walk: Walk): string {
  const bad = worst(walk);
  if (!bad) return 'Everything between the gateway and the cluster works.';
  return bad.outcome === 'Failed'
    ? `It ends at ${HOP_WORDS[bad.hop].title}.`
    : 'It works, and something should be done.';
}

export const HOP_WORDS: Record<Hop, { title: string; question: string }> = {
  Secret: { title: 'Secret', question: 'Is its Secret there, and complete?' },
  Parse: { title: 'Parse', question: 'Can what stands in it be understood?' },
  Dns: { title: 'DNS', question: 'Does the name have an address?' },
  Connect: { title: 'Connect', question: 'Does the address accept connections?' },
  Tunnel: { title: 'Tunnel', question: 'Does the proxy or tunnel let us through?' },
  Tls: { title: 'TLS', question: 'Does the member prove itself?' },
  Authentication: { title: 'Authentication', question: 'Does it accept our credential?' },
  Authorization: { title: 'Authorization', question: 'May the credential do what is needed?' },
  Version: { title: 'Version', question: 'Which Kubernetes is it?' },
  Upgrade: { title: 'Upgrade', question: 'Do exec and port-forward come through?' },
};
