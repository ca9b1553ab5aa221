#!/usr/bin/env bash
# Makes the gateway's serving certificate, good for one year: ca.crt, tls.crt and tls.key in a new folder.
# The key of the CA is thrown away, so nothing else can ever be signed by it; to renew, make both anew.
#
#   make-certificate.sh FOLDER [SERVICE [NAMESPACE]]
set -euo pipefail

folder=${1:?usage: $0 FOLDER [SERVICE [NAMESPACE]]}
service=${2:-cluster-gateway}
namespace=${3:-cluster-gateway-system}
days=365

umask 077
mkdir "$folder"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

cat >"$scratch/ca.cnf" <<CNF
[req]
distinguished_name = name
x509_extensions = ca
prompt = no
[name]
CN = $service serving CA
[ca]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
CNF
# The aggregator asks for SERVICE.NAMESPACE.svc; the other names are for clients that come without it.
cat >"$scratch/leaf.cnf" <<CNF
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
authorityKeyIdentifier = keyid
subjectAltName = DNS:$service.$namespace.svc, DNS:$service.$namespace, DNS:$service.$namespace.svc.cluster.local
CNF

key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$1"; }

key "$scratch/ca.key"
key "$folder/tls.key"
openssl req -x509 -new -config "$scratch/ca.cnf" -key "$scratch/ca.key" -sha256 -days "$days" -out "$folder/ca.crt"
openssl req -new -key "$folder/tls.key" -subj "/CN=$service.$namespace.svc" -out "$scratch/leaf.csr"
openssl x509 -req -in "$scratch/leaf.csr" -CA "$folder/ca.crt" -CAkey "$scratch/ca.key" -set_serial "0x$(openssl rand -hex 16)" \
  -sha256 -days "$days" -extfile "$scratch/leaf.cnf" -out "$folder/tls.crt" 2>/dev/null
openssl verify -CAfile "$folder/ca.crt" -purpose sslserver "$folder/tls.crt" >/dev/null
echo "made $folder/ca.crt, $folder/tls.crt and $folder/tls.key for $service.$namespace.svc, good for $days days"
