/* thread_room.h -- room that a thread uses for as long as one call takes: made when it is first
 * asked for, and freed when the thread ends.
 *
 *     static _Thread_local uint8_t *room;
 *     use(osr_thread_room(&room, ROOM_BYTES), ROOM_BYTES);
 *
 * A thread-local array instead would lie in the memory of every thread of the program, written when
 * that thread is made, whether it ever uses it or not. */
#ifndef OSR_BASE_THREAD_ROOM_H
#define OSR_BASE_THREAD_ROOM_H

#include <stddef.h>
#include <stdint.h>

/* `room` is the thread's own, NULL at first; aligned for any type, zeros at first. */
void *osr_thread_room(uint8_t **room, size_t size);

#endif
