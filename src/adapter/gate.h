/* gate.h -- who may begin a TLS handshake now. A handshake costs more than a millisecond of our
 * time and tens of kilobytes before anybody has shown who they are, so that is what is dealt out:
 * so many a second to an address and to all strangers together, and so many at a time.
 *
 * Happy path: osr_gate_knock (a connection has come: how long it waits) -> osr_gate_begin (its
 * handshake begins) -> osr_gate_pass (it is done) -> osr_gate_leave.
 *
 * Who knocks too often waits a little, unread, so that bursts of good clients all get in; where it
 * would be for longer the connection is closed at once, and may come again. An address from which
 * somebody who has shown a certificate or a shared key is connected has an allowance of its own, so
 * that a flood from elsewhere keeps no link from coming back. Where too many are under way at once,
 * the oldest of the address that has most of them goes: half-open ones crowd out each other.
 *
 * An address is what one person has one of (osr_address_network): an IPv4 address, a /64 network of
 * IPv6. Memory is fixed: strangers' addresses stand in an array, by a hash under a key that nobody
 * knows. Two may share a place by chance; they share its allowance then.
 *
 * No socket; time is given, monotonic. The loop's only.
 *
 * NULL is no gate: whoever knocks begins at once, and nothing is kept of them. */
#ifndef OSR_ADAPTER_GATE_H
#define OSR_ADAPTER_GATE_H

#include "base/bytes.h"

enum {
    /* Of one address in a second, and at once after a while without any: stops one machine from
     * taking more than about a quarter of a core with handshakes. */
    OSR_GATE_ADDRESS_RATE = 200,
    OSR_GATE_ADDRESS_BURST = 100,
    /* Of all addresses that are not known: stops many machines from taking the loop. */
    OSR_GATE_STRANGERS_RATE = 400,
    OSR_GATE_STRANGERS_BURST = 200,
    /* Longer nobody is left waiting: stops connections from piling up before the gate. */
    OSR_GATE_WAIT_MS_MAX = 1500,
    /* At a time: stops half-open handshakes, some 45 kB each (over UDP 270 kB of those who never
     * complete a message), from taking the memory. */
    OSR_GATE_UNDER_WAY_MAX = 256,
    /* Addresses that are known; who comes from a further one is a stranger. */
    OSR_GATE_KNOWN_MAX = 256,
    OSR_GATE_PLACES = 1 << 14, /* of strangers' addresses; more share them */
};

#define OSR_GATE_CLOSED UINT64_MAX

struct osr_gate;

/* Lies in the connection. Zeroed: it has not begun. The gate's own. */
struct osr_visitor {
    struct osr_visitor *older, *newer;
    uint64_t address;
    uint32_t place;
    enum { OSR_VISITOR_AWAY, OSR_VISITOR_UNDER_WAY, OSR_VISITOR_KNOWN } state;
};

/* Since the last look. */
struct osr_gate_refusals {
    uint32_t turned_away; /* came too often */
    uint32_t crowded_out; /* by later ones, in the middle of the handshake */
};

/* `seed` keys the hash: random in a process, fixed in a test. */
struct osr_gate *osr_gate_create(uint64_t seed);
void osr_gate_destroy(struct osr_gate *gate); /* when all have left; NULL is a no-op */
/* In how many milliseconds its handshake may begin, which is counted already; OSR_GATE_CLOSED:
 * it is turned away. */
uint64_t osr_gate_knock(struct osr_gate *gate, uint64_t address, uint64_t now_ms);
/* Returns who has to go for it, and has left already; NULL: nobody. */
struct osr_visitor *osr_gate_begin(struct osr_gate *gate, struct osr_visitor *visitor,
                                   uint64_t address);
/* Its handshake is done. While one of the known is connected its address is known. */
void osr_gate_pass(struct osr_gate *gate, struct osr_visitor *visitor, bool is_known);
/* At whatever stage; one that has not begun, or has left, is a no-op. */
void osr_gate_leave(struct osr_gate *gate, struct osr_visitor *visitor);
struct osr_gate_refusals osr_gate_take_refusals(struct osr_gate *gate);

#endif
