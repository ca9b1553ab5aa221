// Reads of a kubeconfig what the mock needs. It is no YAML parser: it understands the files that its own tests use.

/** Contexts of a kubeconfig, or an error with the words of the API. */
export function contexts(text) {
  if (text.length > 1024 * 1024)
    return problem(
      413,
      41301,
      'the kubeconfig is larger than 1 MiB',
      'Send only the context that you want to join: kubectl config view --minify --flatten',
    );
  if (!/^\s*(apiVersion|kind|clusters|contexts|users|current-context)\s*:/m.test(text)) {
    return problem(
      400,
      41001,
      'this is no kubeconfig: neither "clusters" nor "contexts" are in it',
      'Paste the whole file. kubectl config view --flatten prints one.',
    );
  }
  const current = /^current-context:\s*(\S+)/m.exec(text)?.[1] ?? '';
  const names = [...text.matchAll(/^\s*-?\s*context:\s*\n([\s\S]*?)name:\s*(\S+)/gm)].map((match) => match[2]);
  if (!names.length)
    return problem(
      400,
      41002,
      'the kubeconfig has no contexts',
      'Add one: kubectl config set-context NAME --cluster=CLUSTER --user=USER',
    );
  return {
    body: {
      currentContext: current,
      contexts: names.map((name) => {
        const file = /certificate-authority:\s*(\S+)/.exec(text)?.[1] ?? null;
        const suggestedName = name
          .toLowerCase()
          .replace(/[^a-z0-9-]+/g, '-')
          .replace(/^-+|-+$/g, '')
          .slice(0, 63);
        return {
          name,
          cluster: name,
          user: `${name}-admin`,
          server: `https://${suggestedName}.k8s.example.com:6443`,
          suggestedName,
          credentialType: file ? null : 'X509Certificate',
          expires: '2027-03-01T09:00:00Z',
          insecureSkipTLSVerify: false,
          problem: file ? `the CA is in a file on your machine, ${file}, which the gateway cannot read` : null,
          remedy: file ? `Put the data into the file: kubectl config view --flatten --minify --context ${name}` : null,
        };
      }),
    },
  };
}

function problem(status, code, Message, Remedy) {
  return { status, body: { BusinessCode: code, Message, Remedy } };
}

/** What joining would write. */
export function plan(request) {
  const secret = {
    verb: 'Create',
    object: `Secret vela-system/${request.name}`,
    side: 'hub',
    details: [
      {
        what: 'label cluster.core.oam.dev/cluster-credential-type',
        after: request.serviceAccount ? 'ServiceAccountToken' : 'X509Certificate',
      },
      ...Object.entries(request.labels ?? {}).map(([key, after]) => ({ what: `label ${key}`, after })),
      { what: 'data endpoint', after: `https://${request.name}.k8s.example.com:6443` },
      { what: 'data ca.crt', after: '1099 bytes' },
      request.serviceAccount
        ? { what: 'data token', after: 'made on joining' }
        : { what: 'data tls.key', after: '227 bytes' },
    ],
  };
  const account = [
    'Namespace cluster-gateway',
    'ServiceAccount cluster-gateway/gateway',
    'ClusterRole cluster-gateway-impersonator',
    'ClusterRoleBinding cluster-gateway-impersonator',
  ];
  return {
    cluster: request.name,
    digest: `sha256:${request.name}`,
    credential: request.serviceAccount
      ? { type: 'ServiceAccountToken', expires: '2026-11-22T13:00:00Z', renewal: 'Gateway' }
      : { type: 'X509Certificate', expires: '2027-03-01T09:00:00Z', renewal: 'None' },
    changes: [
      ...(request.serviceAccount ? account.map((object) => ({ verb: 'Create', object, side: 'member' })) : []),
      secret,
    ],
  };
}
