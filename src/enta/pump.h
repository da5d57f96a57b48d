/* Packets between one queue of the TUN device and a channel to a gateway. */
#ifndef ENG_ENTA_PUMP_H
#define ENG_ENTA_PUMP_H

#include "chan/channel.h"

struct agent_config;
struct pump;
struct tun_queue;

struct pump_stats {
	uint64_t packets_out, packets_in, drops_form, drops_source, drops_queue, drops_tun, refused;
	uint64_t waited;    /* packets out that waited for the link */
	uint64_t overtakes; /* of small ones, fair.h */
};

/* Both are borrowed. 0 or -errno. */
MUST_USE int pump_new(const struct agent_config *agent, struct tun_queue *queue, struct pump **out);
void pump_free(struct pump *p);
enum { PUMP_E_MORE = 1 };
/*
 * What the device has to send, one batch; while the channel is blocked it waits in here (fair.h),
 * so call it again when that is writable. 0; PUMP_E_MORE: there is more, nothing will tell, call
 * again. The device's failure is -errno, here and below.
 */
MUST_USE int pump_out(struct pump *p, struct chan *to);
void pump_clear(struct pump *p); /* drops what waits */
/* The same, when there is nobody to send to: answers it with ICMP unreachable. */
MUST_USE int pump_refuse(struct pump *p);
/* What has come, to the device. */
MUST_USE int pump_in(struct pump *p, struct chan *from, const struct chan_packet *packet);
const struct pump_stats *pump_stats(const struct pump *p);

#endif
