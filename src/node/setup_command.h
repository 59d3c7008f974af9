/* setup_command.h -- `osirisd setup MODE [WORD] [FLAGS of osirisd]`: what the command line may not
 * do itself, as it does not touch an instance's files. Internal: the two are of one version.
 *
 * On standard output lines of JSON: what came of it, or {"code":...,"message":...,"hint":...}. What
 * is secret, and what is long, comes by standard input. The exit status is that of the code. */
#ifndef OSR_NODE_SETUP_COMMAND_H
#define OSR_NODE_SETUP_COMMAND_H

/* argv[0] is "setup". */
int osr_setup_main(int argc, char *const *argv);

#endif
