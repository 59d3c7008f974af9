/* A file of its own: the kernel's header, which has the member, does not go with libc's. */
#include "adapter/received_bytes.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

uint64_t osr_received_bytes(int fd)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);
    int waiting = 0;

    /* What waits is asked first: the other way round, what comes in between would be taken off. */
    if (ioctl(fd, FIONREAD, &waiting) != 0 ||
        getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) {
        return 0;
    }
    uint64_t unread = (uint64_t)waiting;
    return info.tcpi_bytes_received > unread ? info.tcpi_bytes_received - unread : 0;
}
