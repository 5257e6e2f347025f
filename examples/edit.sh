#!/usr/bin/env bash
# Edit a photo with curl: submit, wait, fetch the image.
#
#     examples/edit.sh photo.jpg "blue car"
#
# The service is at COMPOSE_URL (http://127.0.0.1:8000), its key in COMPOSE_API_KEY. Needs curl and base64.
set -euo pipefail

if [ $# -ne 2 ]; then
  echo "usage: edit.sh PHOTO PROMPT" >&2
  exit 2
fi
photo=$1 prompt=$2
api=${COMPOSE_URL:-http://127.0.0.1:8000}/api/v1

# curl reads the key from a file handle: on its command line every user of the machine could see it.
request() {
  curl --silent --show-error --fail-with-body \
    --config <(printf 'header = "Authorization: Bearer %s"\n' "${COMPOSE_API_KEY:-}") "$@"
}

# The value of a text field of a JSON answer, as far as this service's answers need it; jq is not everywhere.
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"; }

# For JSON: backslashes and quotes of the prompt are escaped.
escaped=$(printf %s "$prompt" | sed 's/[\\"]/\\&/g')

# The photo goes through a pipe, as it is too long for a command line.
answer=$(
  {
    printf '{"prompt": "%s", "config": {"seed": 7}, "base_image": "' "$escaped"
    base64 < "$photo" | tr -d '\n'
    printf '"}'
  } | request "$api/generate/async" --header 'Content-Type: application/json' \
    --header "Idempotency-Key: $(date +%s)-$$" --data-binary @-
) || { echo "$answer" >&2; exit 1; }
job=$(echo "$answer" | field job_id)
trap 'request --request DELETE "$api/jobs/$job" > /dev/null; exit 130' INT

# The stream of events ends when the job does; each "data:" line is JSON.
request --no-buffer "$api/jobs/$job/events" | while read -r line; do
  case $line in data:*progress*) echo "${line#data: }" >&2 ;; esac
done

edited=${photo%.*}.edited.png
if ! request "$api/jobs/$job/image" --output "$edited.part"; then
  cat "$edited.part" >&2
  rm -f "$edited.part"
  request "$api/status/$job" >&2
  exit 1
fi
mv "$edited.part" "$edited"
echo "$edited"
