// The shapes of API.md. Field names are the API's own.

export type Status = 'Healthy' | 'Unhealthy' | 'Unknown';
export type CredentialType = 'ServiceAccountToken' | 'X509Certificate' | 'Dynamic';
export type Renewal = 'Gateway' | 'Program' | 'None';

export interface FleetCluster {
  name: string;
  alias: string;
  description: string;
  icon: string;
  dashboardURL: string;
  labels: Record<string, string>;
  status: Status;
  reason: string;
  since: string | null;
  latency: (number | null)[];
  version: string;
  apiServerURL: string;
  endpointType: 'Const' | 'ClusterProxy';
  credential: { type: CredentialType | null; expires: string | null; renewal: Renewal };
  engine: 'cluster-gateway' | 'ocm';
  createTime: string;
  resourceVersion: string;
}

export interface Fleet {
  generation: string;
  clusters: FleetCluster[];
}

export interface FleetChanged {
  generation: string;
  clusters: FleetCluster[];
}

export interface FleetRemoved {
  generation: string;
  names: string[];
}

export interface FleetMeasured {
  samples: Record<string, number | null>;
}

export interface LoginMethods {
  oidc: { name: string; start: string } | null;
  token: boolean;
  server: { name: string; version: string };
}

export interface Permissions {
  join: boolean;
  update: boolean;
  detach: boolean;
  diagnose: boolean;
  kubeconfig: boolean;
}

export interface Session {
  user: { username: string; groups: string[] };
  method: 'OIDC' | 'Token' | 'ClientCertificate';
  expires: string | null;
  csrfToken: string;
  time: string;
  permissions: Permissions;
  server: {
    name: string;
    version: string;
    mode: 'hub' | 'standalone';
    secretNamespace: string | null;
    routes: KubeconfigRoute[];
  };
}

export interface Resources {
  cpu: number;
  memory: number;
  pods: number;
}

export interface ClusterNode {
  name: string;
  roles: string[];
  ready: 'True' | 'False' | 'Unknown';
  reason: string;
  unschedulable: boolean;
  kubeletVersion: string;
  operatingSystem: string;
  architecture: string;
  capacity: Resources;
  allocatable: Resources;
  createTime: string;
}

export interface StorageClass {
  name: string;
  provisioner: string;
  reclaimPolicy: string;
  volumeBindingMode: string;
  allowVolumeExpansion: boolean;
  isDefault: boolean;
}

export interface Inventory {
  at: string;
  tookMilliseconds: number;
  capacity: Resources;
  allocatable: Resources;
  nodes: ClusterNode[];
  storageClasses: StorageClass[];
  problems: { what: 'nodes' | 'storageClasses'; message: string }[];
}

export interface Certificate {
  subject: string;
  issuer: string;
  subjectAltNames: string[];
  notBefore: string;
  notAfter: string;
  publicKey: string;
  sha256: string;
  role: 'Leaf' | 'Intermediate' | 'Root';
}

export interface Certificates {
  served: Certificate[];
  verification: 'Bundle' | 'SystemRoots' | 'Insecure';
  verified: boolean;
  problem: string | null;
  client: Certificate | null;
}

export interface RecentRequest {
  id: string;
  at: string;
  user: string;
  verb: string;
  path: string;
  code: number | null;
  tookMilliseconds: number | null;
  outcome: 'Answered' | 'Refused' | 'Failed';
  refusedBy: 'Authentication' | 'Authorization' | 'Limits' | 'Breaker' | 'Path' | null;
  reason: string;
}

export interface RecentRequests {
  requests: RecentRequest[];
}

/** What of KubeVela still refers to a cluster. */
export interface References {
  applications: string[];
  trackers: { name: string; resources: number }[];
  notes?: string[];
}

export interface DetachPlan {
  references: References;
  plan: Plan;
  reachable: boolean;
  needsForce: boolean;
}

export type KubeconfigRoute = 'hub' | 'direct';

export interface Kubeconfig {
  kubeconfig: string;
  fileName: string;
  credential: 'ClientCertificate' | 'ExecPlugin' | 'None';
  expires: string | null;
  notes: string[];
}

export const HOPS = [
  'Secret',
  'Parse',
  'Dns',
  'Connect',
  'Tunnel',
  'Tls',
  'Authentication',
  'Authorization',
  'Version',
  'Upgrade',
] as const;
export type Hop = (typeof HOPS)[number];
export type Outcome = 'Passed' | 'Warned' | 'Failed' | 'Skipped';

export interface Finding {
  hop: Hop;
  outcome: Outcome;
  found: string;
  remedy?: string | null;
  tookMilliseconds: number;
}

export interface Diagnosis {
  cluster: string;
  findings: Finding[];
}

export interface KubeconfigContext {
  name: string;
  cluster: string;
  user: string;
  server: string;
  suggestedName: string;
  credentialType: CredentialType | null;
  expires: string | null;
  insecureSkipTLSVerify: boolean;
  problem: string | null;
  remedy: string | null;
}

export interface Contexts {
  currentContext: string;
  contexts: KubeconfigContext[];
}

export interface JoinRequest {
  kubeConfig: string;
  context: string;
  name: string;
  alias: string;
  labels: Record<string, string>;
  serviceAccount: boolean;
  insecureSkipTLSVerify: boolean;
}

/** What would happen to one object. */
export interface Change {
  verb: 'Create' | 'Replace' | 'Delete';
  object: string;
  side?: 'hub' | 'member';
  details?: { what: string; before?: string; after?: string }[];
}

export interface Plan {
  cluster: string;
  changes: Change[];
  notes?: string[];
}

export interface JoinPlan extends Plan {
  digest: string;
  credential: { type: CredentialType; expires: string | null; renewal: Renewal };
}

export interface JoinStep {
  step: string;
  outcome: 'Started' | 'Passed' | 'Failed';
  found: string;
}

export interface ErrorBody {
  BusinessCode: number;
  Message: string;
  Remedy?: string;
  Field?: string;
}
