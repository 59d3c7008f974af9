# Completion of osiris(1) and osirisd(8) for bash; zsh takes it after `autoload bashcompinit`.

_osiris_words() { # WORDS -- those that begin like the current one
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

_osiris_files() {
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    compopt -o filenames
}

# The value of the option in $1; false where it takes none that could be guessed.
_osiris_value() {
    case $1 in
    --data) mapfile -t COMPREPLY < <(compgen -d -- "$cur") && compopt -o filenames ;;
    -o | --output) _osiris_words "text json yaml" ;;
    --format)
        if [[ $command == "kb import" ]]; then _osiris_words "array jsonl text yaml"
        else _osiris_words "json jsonl yaml"; fi ;;
    --config | --file | --follow-file | --mirror | --ca | --cert | --key | --shared-key | --token-file | \
        --password-file | --secret-file | --request | --out) _osiris_files ;;
    --log-level) _osiris_words "error warning info trace" ;;
    --audit) _osiris_words "changes all" ;;
    --ledger) _osiris_words "found join rejoin" ;;
    --role) _osiris_words "administrator editor reader peer" ;;
    --to | --timeout | --acks | --author | --collection | -c | --expect | --expires | --from | --id | --instance | --json | \
        --kind | -k | --limit | -n | --source | --tag | -t | --wait | --name | --cluster | \
        --listen | --peer | --address | --days | --host | --since | --who | --written-by | --approved | --*-ms | --*-max | --*-mb) COMPREPLY=() ;;
    *) return 1 ;;
    esac
}

# The words that may follow the first one of a command.
_osiris_second() { # WORD
    case $1 in
    kb) echo "add import get update delete history list search export watch digest" ;;
    kv) echo "get put del" ;;
    cluster) echo "status members why add remove promote transfer set settings" ;;
    feeds) echo "resend" ;;
    invite) echo "list revoke" ;;
    ca) echo "init list add issue renew revoke rotate" ;;
    token) echo "create list revoke" ;;
    user) echo "add list password disable enable" ;;
    access) echo "check set show" ;;
    key) echo "add list show remove" ;;
    client) echo "add list remove key" ;;
    esac
}

# Sets $command to the words of the command that stand before the current one: "kb add".
_osiris_command() {
    local i word
    command=""
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
        -o | --output | --data | --to | --timeout | --ca | --cert | --key | --shared-key | \
            --token-file) ((i++)) ;;
        -*) ;;
        *)
            if [[ -z $command ]]; then command=$word
            elif [[ " $(_osiris_second "$command") " == *" $word "* ]]; then command="$command $word"
            fi
            ;;
        esac
    done
}

_osiris() {
    local cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command
    local everywhere="--data --to --ca --cert --key --shared-key --token-file --output --timeout \
        --help --version"
    local writing="--collection --kind --tag --author --expires --acks"
    COMPREPLY=()
    _osiris_command
    _osiris_value "$previous" && return

    local options="" words
    words=$(_osiris_second "$command")
    case $command in
    "") words="init invite join doctor kb kv cluster feeds status rebuild reload renew ca token user login whoami \
        access audit key client" ;;
    init) options="--name --cluster --listen --no-start --address --role --expires" ;;
    invite) options="--role --expires --address" ;;
    join) options="--name --listen --no-start" ;;
    "ca issue") options="--out --request --name --host --days" ;;
    "ca revoke") options="--instance" ;;
    "ca rotate") words="begin switch end" options="--force" ;;
    "token create") options="--role --expires" ;;
    "user add") options="--role --password-file" ;;
    "user password" | login) options="--password-file" ;;
    audit) options="--since --who --denied --follow --written-by --from --limit" ;;
    "key add") options="--secret-file" ;;
    "kb add") options="--json --id $writing" ;;
    "kb update") options="--json $writing" ;;
    "kb delete") options="--acks" ;;
    "kb import") options="--format --source $writing" ;;
    "kb list") options="--limit --collection --from" ;;
    "kb search") options="--limit" ;;
    "kb export") options="--format --full --collection" ;;
    "kb watch") options="--from --collection" ;;
    "kv get") options="--local" ;;
    "kv put") options="--file --expect" ;;
    "kv del") options="--expect" ;;
    "cluster add") options="--learner" ;;
    "cluster remove" | "access set") options="--yes" ;;
    "feeds resend") options="--from" ;;
    status) options="--wait" ;;
    esac
    if [[ $cur == -* ]]; then _osiris_words "$options $everywhere"
    elif [[ $command == "kb import" || $command == "ca add" ]]; then _osiris_files
    else _osiris_words "$words"; fi
}

_osirisd() {
    local cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=""
    COMPREPLY=()
    _osiris_value "$previous" && return
    _osiris_words "--data --name --cluster --config --listen --peer --follow-file --mirror --insecure \
        --approved --audit --ledger --log-level --connections-max --heartbeat-ms --retry-ms --log-segment-mb --mirror-ms \
        --help --version"
}

complete -F _osiris osiris
complete -F _osirisd osirisd
