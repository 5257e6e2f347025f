#!/bin/sh
# Makes what deploy/compose.yaml and deploy/k8s read as secrets, in deploy/secrets (ignored by git). What is there stays.
# The containers' users read them through a bind mount, so the files are for all and the folder for its owner alone.
set -eu
folder=$(dirname "$0")/secrets
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"

random() {
  od -An -tx1 -N24 /dev/urandom | tr -d ' \n'
}
make_one() {  # name, content
  [ -e "$1" ] || printf '%s' "$2" > "$1"
  chmod 644 "$1"
}

make_one redis_password "$(random)"
make_one redis_url "redis://:$(cat redis_password)@redis:6379/0"
make_one webhook_secret "$(random)"
make_one api_keys "{\"first\": \"$(random)\"}"
echo "$folder: $(ls | tr '\n' ' ')"
