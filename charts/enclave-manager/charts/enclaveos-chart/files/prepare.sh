# Runs once with each start of the pod: brings a new database to where the managers can use it, and changes nothing in one
# that is in use. $SECURITY is --insecure or --certs-dir=…, $NODES how many nodes there are, $PREPARED the file that says
# it is done.
set -u
# Which role is asked is said each time.
unset COCKROACH_USER

as_user() { ./cockroach sql "$SECURITY" --user="$1" --host=localhost:26257 --format=csv --execute="$2"; }
# The answer is one number below a header.
count() {
  local answer
  answer=$(as_user root "SELECT count(*) FROM pg_catalog.$1") && printf '%s' "${answer##*$'\n'}"
}

# Several nodes wait to be told once that together they are a new cluster; one that is none any more refuses.
begin() { [[ $NODES == 1 || $HOSTNAME != *-0 ]] || ./cockroach init "$SECURITY" --host=localhost:26257 || true; }

prepare() {
  local roles databases
  roles=$(count "pg_roles WHERE rolname = 'enclave_manager'") || return 1
  [[ $roles != 0 ]] || as_user root 'CREATE USER enclave_manager WITH CREATEDB' || return 1
  as_user root 'GRANT CONNECT ON DATABASE postgres TO enclave_manager' || return 1
  # A restore renames the database: while one of its names is there, an empty malbork would be in the way.
  databases=$(count "pg_database WHERE datname LIKE 'malbork%'") || return 1
  # Whoever creates it owns it.
  [[ $databases != 0 ]] || as_user enclave_manager 'CREATE DATABASE malbork' || return 1
}

rm -f "$PREPARED"
trap 'exit 0' TERM INT
until as_user root 'SELECT 1' >/dev/null; do
  begin
  sleep 1
done
until prepare; do sleep 1; done
touch "$PREPARED"
echo 'The database is prepared.'
sleep infinity &
wait
