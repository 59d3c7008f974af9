/* One bus, driven by lines: for end-to-end tests that do to its broker what the contract cannot.
 *
 * usage: bus_probe listener|dialler|clients|events URL [NAME [SECRET KEY]]
 * with CURVE's keys as text: our own, and that of the one client, robot
 *
 * What happens goes to standard output, one line each:
 *   up | down CODE: MESSAGE (HINT) | message ADDRESS TYPE REPLY_TO BODY | confirmed NUMBER |
 *   gone ADDRESS | drain | log LINE | closed
 * with '-' for what is empty. What to do comes by standard input; its end closes the bus:
 *   send ADDRESS BODY       '-' is no address
 *   flood COUNT BYTES       as fast as it is taken; then "flooded", all of it confirmed
 *   count COUNT             messages are counted, not shown, and then told: "counted MILLISECONDS"
 *   read on|off
 *   reply on|off            each message is sent back to where it came from, or wants its reply */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapter/bus.h"
#include "adapter/clock.h"
#include "adapter/zmq_keys.h"

enum { LINE_BYTES_MAX = 64 << 10 };

struct probe {
    struct osr_bus *bus;
    uv_pipe_t input;
    struct osr_buffer line;
    bool replies;
    uint64_t confirmed;
    uint64_t flood_left;
    uint64_t flood_number; /* of its last message */
    struct osr_buffer flood_body;
    uint64_t count_left;
    uint64_t counted_since_ms;
};

static const char *or_none(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : "-";
}

static void say(const char *text)
{
    puts(text);
    fflush(stdout);
}

static void on_up(void *context, struct osr_bus *bus)
{
    struct probe *probe = context;
    (void)bus;
    probe->confirmed = 0;
    say("up");
}

static void on_down(void *context, struct osr_bus *bus, const struct osr_err *err)
{
    (void)context;
    (void)bus;
    printf("down %s: %s (%s)\n", osr_code_info(err->code)->name, err->message, err->hint);
    fflush(stdout);
}

static void count_message(struct probe *probe)
{
    if (probe->counted_since_ms == 0) {
        probe->counted_since_ms = osr_monotonic_ms();
    }
    probe->count_left--;
    if (probe->count_left == 0) {
        printf("counted %llu\n",
               (unsigned long long)(osr_monotonic_ms() - probe->counted_since_ms));
        fflush(stdout);
        probe->counted_since_ms = 0;
    }
}

static void show(const struct osr_bus_message *message)
{
    printf("message %s %s %s ", or_none(message->address), or_none(message->content_type),
           or_none(message->reply_to));
    if (message->body.size > 0) {
        fwrite(message->body.data, 1, message->body.size, stdout);
    }
    say("");
}

static void on_message(void *context, struct osr_bus *bus, const struct osr_bus_message *message)
{
    struct probe *probe = context;
    struct osr_bus_message reply = {
        .address = message->reply_to != NULL ? message->reply_to : message->address,
        .body = message->body,
        .content_type = message->content_type,
        .correlation = message->correlation,
    };

    if (probe->count_left > 0) {
        count_message(probe);
    } else {
        show(message);
    }
    if (probe->replies) {
        osr_bus_send(bus, &reply);
    }
    if (message->delivery != 0) {
        osr_bus_acknowledge(bus, message->delivery);
    }
}

static void go_on_flooding(struct probe *probe)
{
    while (probe->flood_left > 0 && !osr_bus_is_full(probe->bus)) {
        const struct osr_bus_message message = {.address = "flood",
                                                .body = osr_buffer_slice(&probe->flood_body)};
        probe->flood_left--;
        probe->flood_number = osr_bus_send(probe->bus, &message);
    }
}

static void on_confirmed(void *context, struct osr_bus *bus, uint64_t number)
{
    struct probe *probe = context;
    (void)bus;
    probe->confirmed = number;
    if (probe->flood_number == 0) {
        printf("confirmed %llu\n", (unsigned long long)number);
        fflush(stdout);
    } else if (probe->flood_left == 0 && number == probe->flood_number) {
        probe->flood_number = 0;
        say("flooded");
    }
}

static void on_gone(void *context, struct osr_bus *bus, const char *address)
{
    (void)context;
    (void)bus;
    printf("gone %s\n", or_none(address));
    fflush(stdout);
}

static void on_drain(void *context, struct osr_bus *bus)
{
    struct probe *probe = context;
    (void)bus;
    if (probe->flood_number == 0) {
        say("drain");
    }
    go_on_flooding(probe);
}

static void on_close(void *context, struct osr_bus *bus)
{
    struct probe *probe = context;
    (void)bus;
    probe->bus = NULL;
    say("closed");
}

static const struct osr_bus_handler handler = {
    .on_up = on_up,
    .on_down = on_down,
    .on_message = on_message,
    .on_confirmed = on_confirmed,
    .on_gone = on_gone,
    .on_drain = on_drain,
    .on_close = on_close,
};

static void on_trace(void *context, enum osr_level level, const char *line)
{
    (void)context;
    (void)level;
    printf("log %s\n", line);
    fflush(stdout);
}

/* ---- what to do ---- */

static void start_flood(struct probe *probe, uint64_t count, size_t bytes)
{
    osr_buffer_clear(&probe->flood_body);
    memset(osr_buffer_reserve(&probe->flood_body, bytes), 'x', bytes);
    probe->flood_body.size = bytes;
    probe->flood_left = count;
    go_on_flooding(probe);
}

static void obey(struct probe *probe, char *line)
{
    char *rest = line;
    const char *verb = strsep(&rest, " ");
    char *first = strsep(&rest, " ");

    if (first == NULL) {
        fprintf(stderr, "bus_probe: what is '%s'?\n", verb);
    } else if (strcmp(verb, "send") == 0) {
        const struct osr_bus_message message = {.address = strcmp(first, "-") == 0 ? NULL : first,
                                                .body = osr_slice_text(rest != NULL ? rest : "")};
        osr_bus_send(probe->bus, &message);
    } else if (strcmp(verb, "flood") == 0 && rest != NULL) {
        start_flood(probe, strtoull(first, NULL, 10), strtoull(rest, NULL, 10));
    } else if (strcmp(verb, "count") == 0) {
        probe->count_left = strtoull(first, NULL, 10);
    } else if (strcmp(verb, "read") == 0) {
        osr_bus_read(probe->bus, strcmp(first, "on") == 0);
    } else if (strcmp(verb, "reply") == 0) {
        probe->replies = strcmp(first, "on") == 0;
    }
}

static void obey_lines(struct probe *probe)
{
    char *newline;

    osr_buffer_reserve(&probe->line, 1);
    while ((newline = memchr(probe->line.data, '\n', probe->line.size)) != NULL) {
        *newline = '\0';
        size_t size = (size_t)(newline - (char *)probe->line.data) + 1;
        obey(probe, (char *)probe->line.data);
        osr_buffer_consume(&probe->line, size);
    }
}

static void allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
    struct probe *probe = handle->data;
    (void)suggested;
    *ret_buffer =
        uv_buf_init((char *)osr_buffer_reserve(&probe->line, LINE_BYTES_MAX), LINE_BYTES_MAX);
}

static void on_input(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct probe *probe = stream->data;
    (void)buffer;
    if (size > 0) {
        probe->line.size += (size_t)size;
        obey_lines(probe);
    } else if (size < 0) {
        uv_close((uv_handle_t *)stream, NULL);
        osr_bus_close(probe->bus);
    }
}

/* NULL: none are given. */
static const struct osr_bus_keys *read_keys(int count, char **arguments)
{
    static struct osr_bus_client_key robot = {.name = "robot"};
    static struct osr_bus_keys keys = {.clients = &robot, .client_count = 1};

    return count > 5 && osr_curve_key_read(osr_slice_text(arguments[4]), keys.secret) &&
                   osr_curve_key_read(osr_slice_text(arguments[5]), robot.key)
               ? &keys
               : NULL;
}

static int open_bus(struct probe *probe, int count, char **arguments)
{
    static const char *const roles[] = {[OSR_BUS_LISTENER] = "listener",
                                        [OSR_BUS_DIALLER] = "dialler",
                                        [OSR_BUS_CLIENTS] = "clients",
                                        [OSR_BUS_EVENTS] = "events"};
    struct osr_url url;
    struct osr_err err = {0};
    static const struct osr_trace trace = {.write = on_trace, .level = OSR_LEVEL_WARNING};
    struct osr_bus_options options = {.loop = uv_default_loop(), .url = &url, .trace = &trace};

    while (options.role < OSR_BUS_EVENTS && strcmp(roles[options.role], arguments[1]) != 0) {
        options.role++;
    }
    options.name = options.role >= OSR_BUS_CLIENTS ? arguments[3] : NULL;
    options.keys = read_keys(count, arguments);
    if (osr_url_parse(arguments[2], &url, &err) != 0 ||
        osr_bus_open(&options, &handler, probe, &probe->bus, &err) != 0) {
        fprintf(stderr, "%s: %s (%s)\n", osr_code_info(err.code)->name, err.message, err.hint);
        return osr_code_info(err.code)->exit_status;
    }
    return 0;
}

int main(int count, char **arguments)
{
    struct probe probe = {0};

    signal(SIGPIPE, SIG_IGN);
    if (count < 3) {
        fprintf(stderr,
                "usage: bus_probe listener|dialler|clients|events URL [NAME [SECRET KEY]]\n");
        return 64;
    }
    int status = open_bus(&probe, count, arguments);
    if (status != 0) {
        return status;
    }
    uv_pipe_init(uv_default_loop(), &probe.input, false);
    probe.input.data = &probe;
    uv_pipe_open(&probe.input, 0);
    uv_read_start((uv_stream_t *)&probe.input, allocate, on_input);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    uv_loop_close(uv_default_loop());
    osr_buffer_done(&probe.line);
    osr_buffer_done(&probe.flood_body);
    return 0;
}
