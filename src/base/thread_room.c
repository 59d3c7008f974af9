#include "base/thread_room.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/bytes.h"

struct room {
    struct room *next; /* of the same thread */
    max_align_t bytes[];
};

static pthread_once_t prepared = PTHREAD_ONCE_INIT;
static pthread_key_t rooms_key; /* a thread's rooms; its destructor frees them when it ends */

static void free_rooms(void *rooms)
{
    struct room *room = rooms;
    while (room != NULL) {
        struct room *next = room->next;
        free(room);
        room = next;
    }
}

static void prepare(void)
{
    if (pthread_key_create(&rooms_key, free_rooms) != 0) {
        abort();
    }
}

void *osr_thread_room(uint8_t **room, size_t size)
{
    if (*room == NULL) {
        struct room *made = osr_alloc(sizeof(*made) + size);
        pthread_once(&prepared, prepare);
        made->next = pthread_getspecific(rooms_key);
        if (pthread_setspecific(rooms_key, made) != 0) {
            abort();
        }
        *room = (uint8_t *)made->bytes;
    }
    return *room;
}
