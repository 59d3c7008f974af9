/* watch -- prints every change from the first one on, until Ctrl-C, and goes on where it was when
 * the instance was restarted meanwhile.
 *
 * usage: watch [DATA-FOLDER-OR-URL]
 *
 * Build: cc -std=c99 watch.c $(pkg-config --cflags --libs osiris) */
#include <osiris/osiris.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static struct osiris_client *client;

static void on_signal(int signal_number)
{
    (void)signal_number;
    osiris_interrupt(client);
}

static int on_change(void *context, const struct osiris_change *change)
{
    uint64_t *position = context;
    *position = change->position;
    printf("%llu %s %s %s\n", (unsigned long long)change->position,
           change->is_deleted ? "deleted" : "written", change->document->id,
           change->document->data);
    fflush(stdout);
    return 0;
}

/* The library sends a call again only before its first reply: it cannot know what the program has
 * done with those that came. The program can, so it goes on behind the last one. */
static int watch(struct osiris_error *error)
{
    uint64_t position = 0;
    uint64_t begin;
    int code;
    do {
        begin = position;
        code = osiris_watch(client, position + 1, NULL, on_change, &position, error);
    } while (code == OSIRIS_UNAVAILABLE && position > begin);
    return code;
}

int main(int argc, char **argv)
{
    struct osiris_error error;
    if (osiris_open(argc > 1 ? argv[1] : NULL, &client, &error) != OSIRIS_OK) {
        fprintf(stderr, "open: %s\n%s\n", error.message, error.hint);
        return EXIT_FAILURE;
    }
    osiris_set_retries(client, 1000, 60 * 1000); /* a restart may take a minute */
    signal(SIGINT, on_signal);
    int code = watch(&error);
    if (code != OSIRIS_CANCELLED) {
        fprintf(stderr, "watch: %s (%s)\n%s\n", error.message, error.name, error.hint);
    }
    signal(SIGINT, SIG_DFL);
    osiris_close(client);
    return code == OSIRIS_CANCELLED ? EXIT_SUCCESS : EXIT_FAILURE;
}
