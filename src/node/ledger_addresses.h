/* ledger_addresses.h -- where members of the ledger can be dialled: what an instance tells of its
 * listeners, and what is made of it by who hears that.
 *
 * Told is SCHEME://HOST:PORT alone. A listener of all networks is told with "*" for its host: who
 * hears it puts in the host that the link comes from. One that only this machine reaches is told
 * to who is on this machine. Not told are sockets in the data folder, listeners for other programs
 * than instances, and addresses at brokers, which take a login to be dialled.
 *
 * Taken is only what could have been told: no parameters (which may name files of ours), and
 * plaintext only within this machine, unless the config allows it. */
#ifndef OSR_NODE_LEDGER_ADDRESSES_H
#define OSR_NODE_LEDGER_ADDRESSES_H

#include "base/url.h"

/* Writes what a listener's URL is told as. False: it is not. `is_local`: to who is on this machine.
 */
bool osr_ledger_address_tell(const char *listener, bool is_local, char text[OSR_URL_TEXT_MAX]);

/* What is dialled for what was told over a link whose other end is at `seen` (a URL; NULL: it was
 * not told over a link, and a "*" says nothing). False: nothing. */
bool osr_ledger_address_take(const char *told, const char *seen, bool allows_plaintext,
                             struct osr_url *ret_url);

/* Whether its host means something to one machine alone: "*", or one within a machine. */
bool osr_ledger_address_is_vague(const char *told);
/* Whether a member that is `known` to be at an address, and tells this one now, is still there: it
 * tells the same one, or a vague one that differs in its host alone. A "*" that is known is of no
 * use to anybody, so anything else is better. */
bool osr_ledger_address_holds(const char *known, const char *told);

#endif
