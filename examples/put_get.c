/* put_get -- writes a document and reads it back, with structs and with JSON.
 *
 * usage: put_get [DATA-FOLDER-OR-URL]
 *
 * Build: cc -std=c99 put_get.c $(pkg-config --cflags --libs osiris) */
#include <osiris/osiris.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(const char *what, const struct osiris_error *error)
{
    fprintf(stderr, "%s: %s (%s)\n", what, error->message, error->name);
    if (error->hint[0] != '\0') {
        fprintf(stderr, "%s\n", error->hint);
    }
    return EXIT_FAILURE;
}

static int put_and_get(struct osiris_client *client)
{
    static const char *const tags[] = {"example", "c"};
    struct osiris_document note = {0};
    note.kind = "note";
    note.collection = "examples";
    note.data = "{\"says\": \"hello from C\", \"weight\": 1.10}";
    note.tags = tags;
    note.tag_count = 2;

    struct osiris_error error;
    struct osiris_written written;
    if (osiris_put(client, &note, &written, &error) != OSIRIS_OK) {
        return fail("put", &error);
    }

    struct osiris_document *found;
    if (osiris_get(client, written.id, &found, &error) != OSIRIS_OK) {
        return fail("get", &error);
    }
    printf("%s: %s\n", found->collection, found->data);
    osiris_document_free(found);

    /* The same by name: every operation can be called so, with JSON both ways. */
    char request[200];
    char *reply;
    snprintf(request, sizeof(request), "{\"id\":\"%s\"}", written.id);
    if (osiris_call(client, "kb_get", request, &reply, &error) != OSIRIS_OK) {
        return fail("kb_get", &error);
    }
    printf("%s\n", reply);
    osiris_free(reply);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct osiris_error error;
    struct osiris_client *client;
    if (osiris_open(argc > 1 ? argv[1] : NULL, &client, &error) != OSIRIS_OK) {
        return fail("open", &error);
    }
    int status =
        osiris_connect(client, &error) == OSIRIS_OK ? put_and_get(client) : fail("connect", &error);
    osiris_close(client);
    return status;
}
