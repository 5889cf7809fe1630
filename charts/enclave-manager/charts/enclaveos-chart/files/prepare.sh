# Runs once with each start of the pod: brings a new database to where the managers can use it, and changes nothing in one
# that is in use. $SECURITY is --insecure or --certs-dir=…, $NODES how many nodes there are.
set -u
cd /cockroach

as_root() { ./cockroach sql "$SECURITY" --user=root --host=localhost:26257 --format=csv --execute="$1"; }
# The answer is one number below a header.
none() {
  local answer
  answer=$(as_root "$1") && [[ ${answer##*$'\n'} == 0 ]]
}

# Several nodes wait to be told once that together they are a new cluster; one that is none any more refuses.
begin() { [[ $NODES == 1 || $HOSTNAME != *-0 ]] || ./cockroach init "$SECURITY" --host=localhost:26257 || true; }

prepare() {
  if none "SELECT count(*) FROM pg_catalog.pg_roles WHERE rolname = 'enclave_manager'"; then
    as_root 'CREATE USER enclave_manager WITH CREATEDB' || return 1
  fi
  as_root 'GRANT CONNECT ON DATABASE postgres TO enclave_manager' || return 1
  # A restore renames the database: while one of its names is there, an empty malbork would be in the way.
  if none "SELECT count(*) FROM pg_catalog.pg_database WHERE datname LIKE 'malbork%'"; then
    as_root 'CREATE DATABASE malbork' && as_root 'ALTER DATABASE malbork OWNER TO enclave_manager' || return 1
  fi
}

rm -f /prepared/done
trap 'exit 0' TERM INT
until as_root 'SELECT 1' >/dev/null; do
  begin
  sleep 1
done
until prepare; do sleep 1; done
touch /prepared/done
echo 'The database is prepared.'
sleep infinity &
wait
