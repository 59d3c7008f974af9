#include "adapter/amqp_mail.h"

#include <stdlib.h>

struct osr_amqp_mail *osr_amqp_mail_create(enum osr_amqp_mail_kind kind, uint64_t number)
{
    struct osr_amqp_mail *mail = osr_alloc(sizeof(*mail));
    mail->kind = kind;
    mail->number = number;
    return mail;
}

struct osr_amqp_mail *osr_amqp_mail_create_error(enum osr_amqp_mail_kind kind,
                                                 const struct osr_err *err)
{
    struct osr_amqp_mail *mail = osr_amqp_mail_create(kind, 0);
    mail->err = osr_alloc(sizeof(*mail->err));
    *mail->err = *err;
    return mail;
}

static size_t text_size(const char *text)
{
    return text == NULL ? 0 : strlen(text) + 1;
}

/* Copies to *room and moves that behind the copy. */
static const void *put(uint8_t **room, const void *data, size_t size)
{
    void *copy = *room;
    if (data == NULL) {
        return NULL;
    }
    memcpy(copy, data, size);
    *room += size;
    return copy;
}

struct osr_amqp_mail *osr_amqp_mail_create_message(enum osr_amqp_mail_kind kind,
                                                   const struct osr_bus_message *message)
{
    const struct osr_bus_message *from = message;
    size_t address_size = text_size(from->address);
    size_t content_type_size = text_size(from->content_type);
    size_t reply_to_size = text_size(from->reply_to);
    size_t sender_size = text_size(from->sender);
    struct osr_amqp_mail *mail =
        osr_alloc_unset(sizeof(*mail) + address_size + content_type_size + reply_to_size +
                        sender_size + from->correlation.size + from->body.size);
    uint8_t *room = (uint8_t *)(mail + 1);

    *mail = (struct osr_amqp_mail){.kind = kind, .message = *from};
    mail->message.address = put(&room, from->address, address_size);
    mail->message.content_type = put(&room, from->content_type, content_type_size);
    mail->message.reply_to = put(&room, from->reply_to, reply_to_size);
    mail->message.sender = put(&room, from->sender, sender_size);
    mail->message.correlation.data = put(&room, from->correlation.data, from->correlation.size);
    mail->body = room;
    put(&room, from->body.data, from->body.size);
    mail->message.body.data = mail->body;
    return mail;
}

void osr_amqp_mail_destroy(struct osr_amqp_mail *mail)
{
    if (mail != NULL) {
        free(mail->err);
        free(mail);
    }
}

size_t osr_amqp_mail_bytes(const struct osr_amqp_mail *mail)
{
    return sizeof(*mail) + mail->message.body.size;
}

void osr_amqp_mail_list_add(struct osr_amqp_mail_list *list, struct osr_amqp_mail *mail)
{
    mail->next = NULL;
    if (list->first == NULL) {
        list->first = mail;
    } else {
        list->last->next = mail;
    }
    list->last = mail;
    list->bytes += osr_amqp_mail_bytes(mail);
}

struct osr_amqp_mail *osr_amqp_mail_list_take(struct osr_amqp_mail_list *list)
{
    struct osr_amqp_mail *mail = list->first;
    if (mail != NULL) {
        list->first = mail->next;
        list->bytes -= osr_amqp_mail_bytes(mail);
        mail->next = NULL;
    }
    return mail;
}

void osr_amqp_mail_list_clear(struct osr_amqp_mail_list *list)
{
    struct osr_amqp_mail *mail;
    while ((mail = osr_amqp_mail_list_take(list)) != NULL) {
        osr_amqp_mail_destroy(mail);
    }
}
