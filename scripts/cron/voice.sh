# shellcheck shell=bash
# What the scripts for cron share, to be sourced: a home, where the tools are, and a voice for trouble.
# A script says `headline` and `body` with `speak`; of what keeps it from working it says `vain` and `until_then`.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# cron may give neither HOME nor a PATH; bash knows the home of the user where HOME is unset.
[ -n "${HOME-}" ] || { unset HOME && HOME=~; }
export HOME PATH

webhook=${MENDLINE_WEBHOOK-}
mailto=${MENDLINE_MAILTO-}
# No child needs to know them, least of all the interpreters that are probed.
unset MENDLINE_WEBHOOK MENDLINE_MAILTO

# The tools that were installed with these scripts, or built from the same clone, before any other.
tool() {
    local folder
    for folder in "${MENDLINE_BIN-}" "$here/../../../bin" "$here/../../target/release"; do
        if [ -n "$folder" ] && [ -x "$folder/$1" ]; then
            (cd "$folder" && printf '%s/%s\n' "$PWD" "$1")
            return
        fi
    done
    type -P "$1"
}

# Mails and posts; prints where neither was asked for. Fails where the message did not get away, and prints it then, too.
speak() {
    local sent=''
    if [ -z "$mailto$webhook" ]; then
        printf '%s\n\n%s\n' "$headline" "$body"
        return
    fi
    if [ -n "$mailto" ]; then
        mail_it || sent=no
    fi
    if [ -n "$webhook" ]; then
        post_it || sent=no
    fi
    [ -z "$sent" ] || { printf '%s\n\n%s\n' "$headline" "$body" >&2 && return 1; }
}

mail_it() {
    local subject
    # Paths stay out of it: a header takes neither their bytes nor their length.
    subject="mendline on $(uname -n): $(printf '%s' "$headline" | sed 's/^hosts\{0,1\} [^:]*: //; s/[:;(].*//' | tr -cd ' -~' | cut -c 1-100)"
    case $mailto in -* | *[[:cntrl:]]*) complain 'MENDLINE_MAILTO is no address'; return 1 ;; esac
    if type -P sendmail >/dev/null; then
        {
            printf 'To: %s\nSubject: %s\nAuto-Submitted: auto-generated\n' "$mailto" "$subject"
            printf 'MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n\n%s\n\n%s\n' "$headline" "$body"
        } | "$(type -P sendmail)" -i -t 9>&- || { complain 'sendmail failed'; return 1; }
    elif type -P mail >/dev/null; then
        printf '%s\n\n%s\n' "$headline" "$body" | "$(type -P mail)" -s "$subject" "$mailto" 9>&- || { complain 'mail failed'; return 1; }
    else
        complain 'MENDLINE_MAILTO is set, and there is neither sendmail nor mail'
        return 1
    fi
}

# The URL is a secret, so curl reads it from its standard input and not from its arguments.
post_it() {
    case $webhook in *[[:cntrl:]]*) complain 'MENDLINE_WEBHOOK is no URL'; return 1 ;; esac
    local payload
    payload=$(printf '%s' "$headline" | jq -Rsc '{text: .}') || return 1
    {
        printf 'url = "%s"\n' "$(escaped "$webhook")"
        printf 'data = "%s"\n' "$(escaped "$payload")"
        printf 'header = "Content-Type: application/json"\nproto = "=http,https"\n'
    } | curl -q --silent --show-error --fail --max-time 30 --retry 2 --output /dev/null --config - 9>&- ||
        { complain 'the webhook did not take the message'; return 1; }
}

# As curl's configuration wants a quoted value.
escaped() {
    local text=${1//\\/\\\\}
    printf '%s' "${text//\"/\\\"}"
}

complain() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
}

# fail TEXT [STATUS]: tells of what keeps the script from its work altogether.
fail() {
    headline="host $(uname -n): ${vain:?}: $1"
    body=${until_then:?}
    if [ -n "$mailto$webhook" ]; then
        speak || true
    else
        complain "$1"
    fi
    exit "${2:-2}"
}
