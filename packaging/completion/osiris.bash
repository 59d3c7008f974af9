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
    -o | --output) _osiris_words "text json" ;;
    --format)
        if [[ $command == "kb import" ]]; then _osiris_words "array jsonl text"
        else _osiris_words "json jsonl"; fi ;;
    --config | --follow-file | --mirror) _osiris_files ;;
    --log-level) _osiris_words "error warning info trace" ;;
    --to | --timeout | --acks | --author | --collection | -c | --expires | --from | --id | --json | \
        --kind | -k | --limit | -n | --source | --tag | -t | --wait | --name | --cluster | \
        --listen | --peer | --*-ms | --*-max | --*-mb) COMPREPLY=() ;;
    *) return 1 ;;
    esac
}

# Sets $command to the words of the command that stand before the current one: "kb add".
_osiris_command() {
    local i word
    command=""
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
        -o | --output | --data | --to | --timeout) ((i++)) ;;
        -*) ;;
        kb | feeds | status | rebuild) [[ -z $command ]] && command=$word ;;
        add | import | get | update | delete | history | list | search | export | watch | digest)
            [[ $command == kb ]] && command="kb $word" ;;
        resend) [[ $command == feeds ]] && command="feeds resend" ;;
        esac
    done
}

_osiris() {
    local cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command
    local everywhere="--data --to --output --timeout --help --version"
    local writing="--collection --kind --tag --author --expires --acks"
    COMPREPLY=()
    _osiris_command
    _osiris_value "$previous" && return

    local options="" words=""
    case $command in
    "") words="kb feeds status rebuild" ;;
    kb) words="add import get update delete history list search export watch digest" ;;
    "kb add") options="--json --id $writing" ;;
    "kb update") options="--json $writing" ;;
    "kb delete") options="--acks" ;;
    "kb import") options="--format --source $writing" ;;
    "kb list") options="--limit --collection --from" ;;
    "kb search") options="--limit" ;;
    "kb export") options="--format --full --collection" ;;
    "kb watch") options="--from --collection" ;;
    feeds) words="resend" ;;
    "feeds resend") options="--from" ;;
    status) options="--wait" ;;
    esac
    if [[ $cur == -* ]]; then _osiris_words "$options $everywhere"
    elif [[ $command == "kb import" ]]; then _osiris_files
    else _osiris_words "$words"; fi
}

_osirisd() {
    local cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=""
    COMPREPLY=()
    _osiris_value "$previous" && return
    _osiris_words "--data --name --cluster --config --listen --peer --follow-file --mirror --insecure \
        --log-level --connections-max --heartbeat-ms --retry-ms --log-segment-mb --mirror-ms \
        --help --version"
}

complete -F _osiris osiris
complete -F _osirisd osirisd
