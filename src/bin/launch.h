/* launch.h -- an instance on this machine: started in the background and waited for, or changed
 * while it runs. */
#ifndef OSR_BIN_LAUNCH_H
#define OSR_BIN_LAUNCH_H

#include "bin/command.h"
#include "bin/daemon.h"

/* Whether one answers at the context's data folder now. */
bool osr_launch_is_running(struct osr_context *context);
/* Starts osirisd with the folder and waits until it answers there. What it says when it ends at
 * once is the error; TIMEOUT where it neither ends nor answers. */
int osr_launch(struct osr_context *context, const char *folder, struct osr_err *err);
/* Where the folder is the system's and systemd looks after its instance: the command that starts
 * it; else NULL. */
const char *osr_launch_by_system(const char *folder);

/* Changes the folder by `osirisd setup WORDS`; an instance that runs on it then reads it anew. */
int osr_launch_change(struct osr_context *context, struct osr_daemon_words *words,
                      const struct osr_arguments *arguments, struct osr_slice input,
                      struct osr_err *err);

#endif
