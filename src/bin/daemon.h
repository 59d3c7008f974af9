/* daemon.h -- osirisd, as the command line runs it: for set-up, which touches an instance's files,
 * and in the background. It is taken from where the command line itself lies, else from PATH. */
#ifndef OSR_BIN_DAEMON_H
#define OSR_BIN_DAEMON_H

#include "bin/arguments.h"

enum { OSR_DAEMON_WORDS_MAX = 64 };

/* Words for it, ended by NULL. */
struct osr_daemon_words {
    const char *words[OSR_DAEMON_WORDS_MAX + 1];
    size_t count;
};

void osr_daemon_add(struct osr_daemon_words *words, const char *word);
/* Options of ours that it takes under the same name: --data, --name, --cluster, --listen. */
void osr_daemon_add_flags(struct osr_daemon_words *words, const struct osr_arguments *arguments);

/* Runs `osirisd setup WORDS` with `input` as standard input; what it says is appended to `output`.
 * Its errors become ours. UNAVAILABLE: there is no osirisd. */
int osr_daemon_set_up(const struct osr_daemon_words *words, struct osr_slice input,
                      struct osr_buffer *output, struct osr_err *err);

/* Starts it in the background, in a session of its own, with its log at FOLDER/osirisd.log
 * (log_file.h). */
struct osr_daemon {
    int pid;
    char *log;       /* path */
    uint64_t log_at; /* where this run's part of it begins */
};
int osr_daemon_start(const char *folder, struct osr_daemon *ret_daemon, struct osr_err *err);
/* What its end says, if it has ended. OSR_OK: it runs. */
int osr_daemon_check(struct osr_daemon *daemon, struct osr_err *err);
void osr_daemon_done(struct osr_daemon *daemon); /* it goes on running */

#endif
