#include "bin/launch.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "adapter/clock.h"

bool osr_launch_is_running(struct osr_context *context)
{
    return osr_context_connect(context, NULL) == OSR_OK;
}

static int wait_until_it_answers(struct osr_context *context, struct osr_daemon *daemon,
                                 struct osr_err *err)
{
    enum { WAIT_MS = 30000, PAUSE_MS = 20 };
    uint64_t deadline_ms = osr_monotonic_ms() + WAIT_MS;
    for (;;) {
        int code = osr_daemon_check(daemon, err);
        if (code != OSR_OK) {
            return code;
        }
        code = osr_context_connect(context, err);
        if (code == OSR_OK || code == OSR_CANCELLED) {
            return code;
        }
        if (osr_monotonic_ms() > deadline_ms) {
            osr_err_set(err, OSR_TIMEOUT, "osirisd was started, and does not answer yet");
            osr_err_hint(err, "its log: %s", daemon->log);
            return OSR_TIMEOUT;
        }
        struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
}

int osr_launch(struct osr_context *context, const char *folder, struct osr_err *err)
{
    struct osr_daemon daemon;
    char *whole = realpath(folder, NULL);
    int code = osr_daemon_start(whole != NULL ? whole : folder, &daemon, err);

    free(whole);
    if (code != OSR_OK) {
        return code;
    }
    code = wait_until_it_answers(context, &daemon, err);
    osr_daemon_done(&daemon);
    return code;
}

const char *osr_launch_by_system(const char *folder)
{
    static const char *const units[] = {"/etc/systemd/system/osirisd.service",
                                        "/usr/lib/systemd/system/osirisd.service",
                                        "/lib/systemd/system/osirisd.service"};
    if (strcmp(folder, "/var/lib/osiris") != 0) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (access(units[i], F_OK) == 0) {
            return "systemctl enable --now osirisd";
        }
    }
    return NULL;
}

static int pass_over(void *context, const ProtobufCMessage *reply)
{
    (void)context, (void)reply;
    return OSR_OK;
}

int osr_launch_change(struct osr_context *context, struct osr_daemon_words *words,
                      const struct osr_arguments *arguments, struct osr_slice input,
                      struct osr_err *err)
{
    struct osr_buffer output = {0};
    if (osr_arguments_has(arguments, OSR_FLAG_TO)) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT,
                           "this is done on the instance's own machine: --data, not --to");
    }
    osr_daemon_add_flags(words, arguments);
    int code = osr_daemon_set_up(words, input, &output, err);
    osr_buffer_done(&output);
    if (code != OSR_OK || !osr_launch_is_running(context)) {
        return code;
    }
    Osr__ReloadRequest request = OSR__RELOAD_REQUEST__INIT;
    code = osr_context_call(context, "reload", &request.base, pass_over, NULL, err);
    return code == OSR_OK
               ? OSR_OK
               : (int)osr_err_prefix(err, "it is done, and the instance has not taken it over");
}
