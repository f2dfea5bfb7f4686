#!/bin/sh
# damas: a tracker's calls for the shell. Needs sh, curl, sed, awk and od.
#
# The token stays in a file only its user may read. Neither it nor a password is ever an argument of a command, where
# other users of the machine could see it.

set -u
umask 077

SERVED_BY="@SERVER@" # the tracker this file came from writes its address here
server=${DAMAS_SERVER:-}
quiet= verbose= lines=

usage() {
    cat <<'END'
damas - ask a tracker

  damas [-s URL] [-q] [-v] [-l] COMMAND [ARGUMENT...]

  -s, --server URL   the tracker (else DAMAS_SERVER, else the one this file came from)
  -q, --quiet        print no refusals
  -v, --verbose      print the status
  -l, --lines        print an array one item a line, texts without quotes

Signing in
  signin [NAME [PASSWORD]]   what is not given is asked for; it is read from standard input, which is safer
  signout                    revoke the token and forget it
  verify                     who is signed in
  createtoken [LIFE]         another token, for a program; LIFE like 2h, 7d, 0 (for ever)

Elements (JSON, or - to read it from standard input; identifiers may be given as they are)
  create JSON      read ID...       update JSON      upsert JSON      delete ID...
  publish JSON     comment JSON     version ID JSON
  lock ID...       unlock ID...

Questions
  search QUERY     search_one QUERY     search_mongo QUERY [SORT [LIMIT [SKIP]]]
  graph ID...      graph_backwards ID...      graph_forwards ID...

Environment: DAMAS_SERVER; DAMAS_TOKEN, a token to use instead of signing in; DAMAS_CACERT, a file with the certificate
of a tracker that made its own.

Exit codes: 0 done; 1 usage; 2 no server known; 3 nobody answers; 7 some are missing or were refused; 40, 41, 43, 44, 49,
50 for the statuses 400, 401, 403, 404, 409, 500; 60 any other.
END
}

say() { [ -n "$quiet" ] || printf '%s\n' "$*" >&2; }

wrong() { # usage
    printf 'damas: %s (damas --help)\n' "$*" >&2
    exit 1
}

# --- texts ---------------------------------------------------------------------------------------------------------

percent() { # TEXT: each byte as %XX
    printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n' | sed 's/../%&/g'
}

quoted() { # TEXT: as JSON writes it; line breaks in an identifier have to be given as JSON
    printf '"%s"' "$(printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g')"
}

identifiers() { # ID...: one JSON value or plain identifier as it is, several plain ones as an array
    if [ $# = 1 ]; then
        case $1 in
            -) cat ;;
            '['* | '"'*) printf '%s' "$1" ;;
            *) quoted "$1" ;;
        esac
        return
    fi
    before='['
    for id in "$@"; do
        printf '%s' "$before"
        quoted "$id"
        before=,
    done
    printf ']'
}

value() { # JSON or -
    if [ "$1" = - ]; then cat; else printf '%s' "$1"; fi
}

in_lines() { # the items of the array on standard input, one a line
    awk '
        function item(text) {
            if (text ~ /^".*"$/ && text !~ /\\/) text = substr(text, 2, length(text) - 2)
            if (text != "") print text
        }
        { all = all (NR > 1 ? "\n" : "") $0 }
        END {
            if (substr(all, 1, 1) != "[") { item(all); exit }
            n = length(all)
            for (i = 2; i < n; i++) {
                c = substr(all, i, 1)
                if (inside) {
                    if (c == "\\") { held = held c; c = substr(all, ++i, 1) }
                    else if (c == "\"") inside = 0
                } else if (c == "\"") inside = 1
                else if (c == "[" || c == "{") depth++
                else if (c == "]" || c == "}") depth--
                else if (c == "," && depth == 0) { item(held); held = ""; continue }
                held = held c
            }
            item(held)
        }'
}

# --- asking --------------------------------------------------------------------------------------------------------

work=$(mktemp -d "${TMPDIR:-/tmp}/damas.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

kept() { # the file of this server's token
    folder=${XDG_STATE_HOME:-$HOME/.local/state}/damas
    mkdir -p "$folder"
    printf '%s/%s' "$folder" "$(printf '%s' "$server" | tr -c 'A-Za-z0-9.-' _)-$(printf '%s' "$server" | cksum | tr ' ' -)"
}

token() {
    if [ -n "${DAMAS_TOKEN:-}" ]; then
        printf '%s' "$DAMAS_TOKEN"
    elif [ -f "$(kept)" ]; then
        cat "$(kept)"
    fi
}

ask() { # METHOD PATH [OPTION...]: the answer into $work/answer; sets status
    method=$1 path=$2
    shift 2
    {
        printf 'header = "Authorization: Bearer %s"\n' "$(token)"
        [ -z "${DAMAS_CACERT:-}" ] || printf 'cacert = "%s"\n' "$DAMAS_CACERT"
    } >"$work/config"
    : >"$work/answer"
    status=$(curl --silent --location --globoff --path-as-is --config "$work/config" --request "$method" \
        --output "$work/answer" --write-out '%{http_code}' "$@" "$server/api/$path") || status=000
    [ -z "$verbose" ] || printf '%s\n' "$status" >&2
}

code() { # what the status means for an exit
    case $status in
        200 | 201) return 0 ;;
        207) return 7 ;;
        400 | 401 | 403 | 404 | 409) return "4${status#40}" ;;
        500) return 50 ;;
        000)
            say "damas: $server does not answer"
            return 3
            ;;
        *) return 60 ;;
    esac
}

finish() { # print the answer, end with the code
    code
    ended=$?
    case $ended in
        0 | 7)
            if [ -n "$lines" ]; then
                sed 's/^{"count":[0-9]*,"ids":\(.*\)}$/\1/' "$work/answer" | in_lines
            else
                cat "$work/answer" && echo
            fi
            ;;
        3) ;;
        *) say "$(cat "$work/answer")" ;;
    esac
    exit "$ended"
}

send() { # METHOD PATH; the JSON is on standard input
    cat >"$work/body"
    ask "$1" "$2" --header 'Content-Type: application/json' --data-binary "@$work/body"
    finish
}

sign_in() { # [NAME [PASSWORD]]
    name=${1-} word=${2-}
    if [ $# -lt 1 ]; then
        [ ! -t 0 ] || printf 'Name: ' >&2
        IFS= read -r name || [ -n "$name" ] || wrong "no name was given"
    fi
    if [ $# -lt 2 ]; then
        if [ -t 0 ]; then
            printf 'Password: ' >&2
            trap 'stty echo; exit 130' INT
            stty -echo
            IFS= read -r word
            stty echo
            echo >&2
        else
            IFS= read -r word || [ -n "$word" ] || wrong "no password was given"
        fi
    fi
    printf '%s' "$name" >"$work/name"
    printf '%s' "$word" >"$work/word"
    DAMAS_TOKEN= # a new sign-in counts for itself
    ask POST signIn/ --data-urlencode "username@$work/name" --data-urlencode "password@$work/word"
    code || finish
    sed -n 's/.*"token":"\([^"]*\)".*/\1/p' "$work/answer" >"$work/token"
    mv "$work/token" "$(kept)"
    [ -z "$verbose" ] || say "signed in at $server"
    exit 0
}

sign_out() {
    : >"$work/body"
    [ -z "$(token)" ] || ask POST signOut/ --header 'Content-Type: application/json' --data-binary '{}'
    rm -f "$(kept)"
    exit 0
}

mongo() { # QUERY [SORT [LIMIT [SKIP]]]
    printf '{"query":%s,"sort":%s,"limit":%s,"skip":%s}' "$(value "$1")" "${2:-{\}}" "${3:-0}" "${4:-0}" >"$work/mongo"
    send POST search_mongo/ <"$work/mongo"
}

# --- words ---------------------------------------------------------------------------------------------------------

while [ $# -gt 0 ]; do
    case $1 in
        -s | --server)
            [ $# -gt 1 ] || wrong "$1 needs an address"
            server=$2
            shift
            ;;
        --server=*) server=${1#*=} ;;
        -q | --quiet) quiet=1 ;;
        -v | --verbose) verbose=1 ;;
        -l | --lines) lines=1 ;;
        -h | --help)
            usage
            exit 0
            ;;
        -?*) wrong "there is no option $1" ;;
        *) break ;;
    esac
    shift
done
[ $# -gt 0 ] || wrong "what is it to do?"
command=$1
shift

case $SERVED_BY in http*) server=${server:-$SERVED_BY} ;; esac
if [ -z "$server" ]; then
    say "damas: no server is known; use -s URL or DAMAS_SERVER"
    exit 2
fi
case $server in http://* | https://*) ;; *) server=https://$server ;; esac
server=${server%/}
server=${server%/api}

case $command in
    signin | signIn)
        [ $# -le 2 ] || wrong "signin takes a name and a password"
        sign_in "$@"
        ;;
    signout | signOut) sign_out ;;
    verify)
        ask GET verify/
        finish
        ;;
    createtoken | createToken)
        if [ $# = 0 ]; then printf '{}'; else printf '{"expiresIn":%s}' "$(quoted "$1")"; fi | send POST createToken/
        exit
        ;;
    search | search_one)
        [ $# -gt 0 ] || wrong "$command needs a query"
        ask GET "$command/$(percent "$*")"
        finish
        ;;
    *) [ $# -gt 0 ] || wrong "there is no command $command, or it needs something to work on" ;;
esac

case $command in
    create) value "$1" | send POST create/ ;;
    update) value "$1" | send PUT update/ ;;
    upsert) value "$1" | send POST upsert/ ;;
    publish) value "$1" | send POST publish/ ;;
    comment) value "$1" | send POST comment/ ;;
    version)
        [ $# = 2 ] || wrong "version needs an identifier and JSON"
        value "$2" | send POST "version/$(percent "$1")"
        ;;
    read) identifiers "$@" | send POST read/ ;;
    delete) identifiers "$@" | send DELETE delete/ ;;
    lock) identifiers "$@" | send PUT lock/ ;;
    unlock) identifiers "$@" | send PUT unlock/ ;;
    graph | graph_backwards | graph_forwards) identifiers "$@" | send POST "$command/0/" ;;
    search_mongo) mongo "$@" ;;
    *) wrong "there is no command $command" ;;
esac
