// What can be wrong with a member: the hop that fails, and the words for it.
export const FAULTS = {
  Secret: {
    found: 'the Secret vela-system/{name} has no key "endpoint"',
    remedy: 'Add the member\'s URL as data key "endpoint", or join the cluster again.',
  },
  Parse: {
    found: 'the Secret\'s "ca.crt" is no PEM certificate: line 1 begins with "Cg=="',
    remedy: "Write the member's CA bundle, in PEM, to data key ca.crt.",
  },
  Dns: {
    found: 'dial tcp: lookup {host}: no such host',
    remedy: 'Check the name in the endpoint, and that the resolver of the gateway (not yours) knows it.',
  },
  Connect: {
    found: 'dial tcp {address}: connect: connection refused',
    remedy: 'The machine answers but nothing listens on port 6443. Is kube-apiserver running there? Is the port right?',
  },
  Tunnel: {
    found: 'proxy http://proxy.corp:3128 answered CONNECT with 403 Forbidden',
    remedy: 'Allow CONNECT to {address} on the proxy, or change proxy-url.',
  },
  Tls: {
    found: 'x509: certificate has expired: it was valid until 2026-11-20T08:00:00Z, now it is 2026-11-22T12:00:00Z',
    remedy:
      "Renew the member's serving certificate (kubeadm: kubeadm certs renew apiserver), then restart kube-apiserver.",
  },
  Authentication: {
    found: 'GET /apis/authentication.k8s.io/v1/selfsubjectreviews answered 401 Unauthorized: the token is not accepted',
    remedy:
      'Replace the credential: cluster-gateway rotate {name}. The token may have been revoked, or belong to another cluster.',
  },
  Authorization: {
    found:
      'User "system:serviceaccount:cluster-gateway:gateway" cannot impersonate resource "users" at the cluster scope',
    remedy:
      "Apply the ClusterRole cluster-gateway-impersonator to the member; 'cluster-gateway join --plan' prints it.",
  },
  Version: {
    found: 'GET /version answered 200 with no JSON: "<html><title>Sign in</title>"',
    remedy: 'Something else answers at this address, a load balancer or a login page. Check the endpoint.',
  },
  Upgrade: {
    found: 'the member answered the upgrade to websocket with 400 Bad Request',
    remedy: 'A load balancer before the member drops Upgrade headers; exec, attach and port-forward need them.',
  },
};

/** The fault's words for one cluster. */
export function words(text, cluster) {
  const url = new URL(cluster.apiServerURL);
  return text
    .replaceAll('{name}', cluster.name)
    .replaceAll('{host}', url.hostname)
    .replaceAll('{address}', `10.0.0.1:${url.port || 443}`);
}
