#include "adapter/zmq_frames.h"

#include <assert.h>
#include <errno.h>

#include "adapter/zmq_unread.h"

bool osr_zmq_head_add(uint8_t head[OSR_ZMQ_HEAD_BYTES_MAX], size_t *size, struct osr_slice frame)
{
    if (frame.size > UINT8_MAX || 1 + frame.size > OSR_ZMQ_HEAD_BYTES_MAX - *size) {
        return false;
    }
    head[*size] = (uint8_t)frame.size;
    if (frame.size > 0) {
        memcpy(head + *size + 1, frame.data, frame.size);
    }
    *size += 1 + frame.size;
    return true;
}

bool osr_zmq_head_next(struct osr_slice *head, struct osr_slice *ret_frame)
{
    if (head->size == 0 || head->data[0] > head->size - 1) {
        return false;
    }
    *ret_frame = osr_slice(head->data + 1, head->data[0]);
    *head = osr_slice(head->data + 1 + ret_frame->size, head->size - 1 - ret_frame->size);
    return true;
}

/* -- receiving -- */

bool osr_zmq_receive_frame(void *socket, zmq_msg_t *frame)
{
    int size;

    do {
        size = zmq_msg_recv(frame, socket, ZMQ_DONTWAIT);
    } while (size < 0 && errno == EINTR);
    return size >= 0;
}

bool osr_zmq_receive(void *socket, struct osr_zmq_frames *ret_frames)
{
    ret_frames->head_size = 0;
    ret_frames->is_odd = false;
    ret_frames->bytes = 0;
    zmq_msg_init(&ret_frames->body);
    while (osr_zmq_receive_frame(socket, &ret_frames->body)) {
        ret_frames->bytes += OSR_ZMQ_FRAME_BYTES + zmq_msg_size(&ret_frames->body);
        if (!zmq_msg_more(&ret_frames->body)) {
            return true;
        }
        struct osr_slice frame =
            osr_slice(zmq_msg_data(&ret_frames->body), zmq_msg_size(&ret_frames->body));
        ret_frames->is_odd |= !osr_zmq_head_add(ret_frames->head, &ret_frames->head_size, frame);
    }
    zmq_msg_close(&ret_frames->body);
    return false;
}

/* -- sending -- */

static int send_frame(void *socket, zmq_msg_t *frame, int more)
{
    int size;

    do {
        size = zmq_msg_send(frame, socket, ZMQ_DONTWAIT | more);
    } while (size < 0 && errno == EINTR);
    return size < 0 ? errno : 0;
}

static int send_head_frame(void *socket, struct osr_slice content)
{
    zmq_msg_t frame;

    zmq_msg_init_size(&frame, content.size);
    if (content.size > 0) {
        memcpy(zmq_msg_data(&frame), content.data, content.size);
    }
    int error = send_frame(socket, &frame, ZMQ_SNDMORE);
    if (error != 0) {
        zmq_msg_close(&frame);
    }
    return error;
}

static enum osr_zmq_result result_of(int error)
{
    if (error == 0) {
        return OSR_ZMQ_SENT;
    }
    return error == EHOSTUNREACH ? OSR_ZMQ_GONE : OSR_ZMQ_FULL;
}

/* libzmq decides at the first frame whether it takes a message; the rest then follows it. */
enum osr_zmq_result osr_zmq_send(void *socket, struct osr_slice head, zmq_msg_t *body)
{
    struct osr_slice frame;
    bool has_begun = false;

    while (osr_zmq_head_next(&head, &frame)) {
        int error = send_head_frame(socket, frame);
        if (error != 0) {
            assert(!has_begun);
            return result_of(error);
        }
        has_begun = true;
    }
    int error = send_frame(socket, body, 0);
    assert(error == 0 || !has_begun);
    return result_of(error);
}
