# Asks the manager whether it serves. What it answers is printed, and so stands in the events of the pod.
exec 3<>"/dev/tcp/127.0.0.1/${ENCLAVE_MANAGER_LISTEN##*:}" || exit 1
printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3
reply=$(cat <&3)
printf '%s\n' "${reply##*$'\n'}"
[[ $reply == 'HTTP/1.1 200 '* ]]
