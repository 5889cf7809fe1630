# $SECURITY is --insecure or --certs-dir=…, $NODES how many nodes there are, $JOIN their addresses.
set -eu
options=(
  "$SECURITY"
  "--advertise-host=$(hostname -f)"
  --listen-addr=:26257
  --http-addr=:8080
  --store=/cockroach/cockroach-data
  "--cache=$CACHE"
  "--max-sql-memory=$MAX_SQL_MEMORY"
  --logtostderr=INFO
)
[[ $NODES != 1 ]] || exec ./cockroach start-single-node "${options[@]}"
exec ./cockroach start "${options[@]}" "--join=$JOIN"
