/* amqp_mail.h -- what the loop and the thread of an AMQP bus (amqp_thread.h) hand each other: a
 * message with all that it points to in one piece of memory, or a word about the connection. */
#ifndef OSR_ADAPTER_AMQP_MAIL_H
#define OSR_ADAPTER_AMQP_MAIL_H

#include "adapter/bus.h"

enum osr_amqp_mail_kind {
    /* To the thread. */
    OSR_AMQP_PUBLISH,
    OSR_AMQP_ACKNOWLEDGE, /* number: the delivery */
    /* To the loop. */
    OSR_AMQP_UP, /* number: the session, from 1 */
    OSR_AMQP_DOWN,
    OSR_AMQP_MESSAGE,
    OSR_AMQP_CONFIRMED, /* number: all messages of this session up to it */
    OSR_AMQP_GONE,      /* message.address: nobody takes from it */
    OSR_AMQP_NOTICE,    /* err: for the log */
    OSR_AMQP_DRAINED,
};

struct osr_amqp_mail {
    struct osr_amqp_mail *next;
    enum osr_amqp_mail_kind kind;
    uint64_t number;
    struct osr_err *err; /* of DOWN and NOTICE; owned */
    struct osr_bus_message message;
    uint8_t *body; /* the memory of message.body */
};

struct osr_amqp_mail *osr_amqp_mail_create(enum osr_amqp_mail_kind kind, uint64_t number);
/* A copy of all that the message points to; of a body without data only the room is made. */
struct osr_amqp_mail *osr_amqp_mail_create_message(enum osr_amqp_mail_kind kind,
                                                   const struct osr_bus_message *message);
struct osr_amqp_mail *osr_amqp_mail_create_error(enum osr_amqp_mail_kind kind,
                                                 const struct osr_err *err);
void osr_amqp_mail_destroy(struct osr_amqp_mail *mail); /* NULL is a no-op */

size_t osr_amqp_mail_bytes(const struct osr_amqp_mail *mail);

/* In the order of adding. Owns what is in it. A zeroed one is empty and valid. */
struct osr_amqp_mail_list {
    struct osr_amqp_mail *first;
    struct osr_amqp_mail *last;
    size_t bytes;
};

void osr_amqp_mail_list_add(struct osr_amqp_mail_list *list, struct osr_amqp_mail *mail);
struct osr_amqp_mail *osr_amqp_mail_list_take(struct osr_amqp_mail_list *list); /* NULL: empty */
void osr_amqp_mail_list_clear(struct osr_amqp_mail_list *list);

#endif
