/* folder.h -- where an instance keeps its data, and where its socket stands in there: agreed
 * between the daemon and those who call it on the same machine. */
#ifndef OSR_ADAPTER_FOLDER_H
#define OSR_ADAPTER_FOLDER_H

#include "base/error.h"

#define OSR_SOCKET_NAME "osiris.sock" /* in the data folder */

/* The folder used where none is named: $OSIRIS_DATA, else $XDG_DATA_HOME/osiris, else
 * ~/.local/share/osiris. The text is the caller's to free. CONFIG where there is no home. */
int osr_folder_default(char **ret_folder, struct osr_err *err);

#endif
