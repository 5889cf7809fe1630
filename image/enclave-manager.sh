#!/bin/sh
# /usr/local/bin/enclave-manager of the image. As the first process of a container it is tini that runs, which passes signals
# on and ends what was left behind by others: Node waits for its own children only.
set -- /usr/local/bin/node /opt/enclave-manager/bin/enclave-manager "$@"
[ $$ -ne 1 ] || exec /usr/bin/tini -- "$@"
exec "$@"
