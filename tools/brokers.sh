# brokers.sh -- mosquitto and RabbitMQ as Debian ships them, as processes of the caller's, on
# loopback, with all they keep in a folder of the caller's; sourced behind lib.sh, never run. The
# system's own services are left alone.
#
# start_broker mqtt|amqp FOLDER sets $broker, where it listens (127.0.0.1:PORT), and returns when it
# answers; stop_broker ends it.

broker="" broker_pid="" broker_folder=""

# How many: so many ports at which nobody listens now.
free_ports() {
    python3 -c '
import socket, sys
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(one.getsockname()[1] for one in sockets))' "$1"
}

wait_for_broker() { # SECONDS
    local tries=$(($1 * 10))
    until (exec 3<>"/dev/tcp/${broker%:*}/${broker#*:}") 2>/dev/null; do
        kill -0 "$broker_pid" 2>/dev/null && [ $((tries--)) -gt 0 ] || {
            tail -n 20 "$broker_folder/output" >&2
            fail "the broker does not start"
        }
        sleep 0.1
    done
}

start_mosquitto() {
    printf '%s\n' "listener ${broker#*:} 127.0.0.1" "allow_anonymous true" "user $(id -un)" \
        >"$broker_folder/mosquitto.conf"
    setsid /usr/sbin/mosquitto -c "$broker_folder/mosquitto.conf" >"$broker_folder/output" 2>&1 &
    broker_pid=$!
    wait_for_broker 10
}

# Without Debian's wrapper, which changes the user; with an epmd that goes when it goes.
start_rabbitmq() { # NODE_PORT EPMD_PORT
    printf '%s\n' "listeners.tcp.local = $broker" "log.console = false" \
        "disk_free_limit.absolute = 1MB" >"$broker_folder/rabbitmq.conf"
    echo "[]." >"$broker_folder/plugins"
    HOME=$broker_folder RABBITMQ_NODENAME=osiris$1@127.0.0.1 RABBITMQ_USE_LONGNAME=true \
        RABBITMQ_DIST_PORT=$1 ERL_EPMD_PORT=$2 ERL_EPMD_ADDRESS=127.0.0.1 \
        RABBITMQ_MNESIA_BASE=$broker_folder/data RABBITMQ_LOG_BASE=$broker_folder/log \
        RABBITMQ_CONFIG_FILE=$broker_folder/rabbitmq.conf RABBITMQ_CONF_ENV_FILE=/nonexistent \
        RABBITMQ_ENABLED_PLUGINS_FILE=$broker_folder/plugins \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}" \
        setsid bash -c 'epmd & exec /usr/lib/rabbitmq/bin/rabbitmq-server' \
        >"$broker_folder/output" 2>&1 &
    broker_pid=$!
    wait_for_broker 90
}

start_broker() {
    local ports
    read -r -a ports <<<"$(free_ports 3)"
    broker=127.0.0.1:${ports[0]}
    broker_folder=$2
    mkdir -p "$broker_folder"
    case $1 in
    mqtt) start_mosquitto ;;
    amqp) start_rabbitmq "${ports[1]}" "${ports[2]}" ;;
    esac
}

# With all that it has started: each runs in a session of its own.
stop_broker() {
    [ -n "$broker_pid" ] || return 0
    kill -9 -- "-$broker_pid" 2>/dev/null || true
    wait "$broker_pid" 2>/dev/null || true
    broker_pid=""
}
