/* message_call.h -- one request that came as a message (message_calls.h): the connection that it
 * becomes, its body, and its replies. For message_call.c and message_calls.c alone. */
#ifndef OSR_ADAPTER_MESSAGE_CALL_H
#define OSR_ADAPTER_MESSAGE_CALL_H

#include "adapter/message_calls.h"

struct osr_message_reply {
    struct osr_message_reply *next;
    struct osr_buffer body;
};

/* One message. */
struct osr_message_call {
    struct osr_connection base; /* first */
    struct osr_message_call *next, *previous;
    struct osr_message_calls *calls;
    struct osr_buffer body;
    size_t taken; /* bytes of it */
    char *client;
    char *reply_to; /* NULL: nobody is there for replies */
    struct osr_buffer correlation;
    uint64_t delivery;
    uint64_t times_down; /* of the bus, when it came */
    struct osr_message_reply *first_reply, *last_reply;
    size_t queued; /* bytes of replies */
    bool read_wanted;
    bool is_closing;       /* listed among those that end */
    bool is_second;        /* it has failed once */
    struct osr_err result; /* OK: closed in good order */
};

struct osr_message_list {
    struct osr_message_call *first, *last;
    size_t count;
};

/* The listener. */
struct osr_message_calls {
    struct osr_listener base; /* first */
    struct osr_bus *bus;      /* NULL: closed */
    char *as;                 /* who all of them are; NULL: each shows it */
    const struct osr_trace *trace;
    void (*on_accept)(void *context, struct osr_connection *connection);
    void *context;
    struct osr_message_list waiting; /* for those before them; no connection yet */
    struct osr_message_list running;
    struct osr_message_list ending;   /* closed from above */
    struct osr_message_list failed;   /* to be given once more */
    struct osr_message_call *at_hand; /* one of the running, not yet taken whole; NULL: none */
    size_t body_bytes;
    uint64_t times_down;
    uv_idle_t turn;
    uv_timer_t pause; /* of those that have failed */
    int handles_open;
    bool is_reading;
    bool is_closing;
};

/* ---- message_call.c ---- */

struct osr_message_call *osr_message_call_create(struct osr_message_calls *calls,
                                                 const struct osr_bus_message *message);
/* It is in no list. */
void osr_message_call_destroy(struct osr_message_call *call);
/* As it was when it came, to be given once more. */
void osr_message_call_rewind(struct osr_message_call *call);
/* The broker gives it again, or has done so; what is acknowledged now is not heard. */
bool osr_message_call_is_past(const struct osr_message_call *call);
/* The next piece of its body, or its end. */
void osr_message_call_give(struct osr_message_call *call);
/* What waits goes out, as far as the bus takes it, or is dropped where nobody reads it. */
void osr_message_call_go_on(struct osr_message_call *call);
void osr_message_call_drop_replies(struct osr_message_call *call);

void osr_message_list_append(struct osr_message_list *list, struct osr_message_call *call);
void osr_message_list_remove(struct osr_message_list *list, struct osr_message_call *call);

/* ---- message_calls.c ---- */

/* Something is to be done from within the loop. */
void osr_message_calls_schedule(struct osr_message_calls *calls);

#endif
