/* elsewhere: a bucket that the model server does not hold where it is asked for: it names another
 * region, or another host, and serves what comes there. Not a fault: it stays so in all lives.
 *
 *   MOVED    301 PermanentRedirect with an <Endpoint>: all of the bucket is on the other host
 *   TIMES    307 with a Location, now and then: this request is for the other host
 *   REGION   400 AuthorizationHeaderMalformed with a <Region>: signed for another one */
#ifndef TESTS_SIM_ELSEWHERE_H
#define TESTS_SIM_ELSEWHERE_H

#include "s3/conf.h"
#include "tests/sim/server.h"

enum elsewhere { ELSEWHERE_NOT, ELSEWHERE_MOVED, ELSEWHERE_TIMES, ELSEWHERE_REGION };

/* Draws it for an endpoint with a name, and what the user says about it. */
void elsewhere_draw(struct conf *conf);
enum elsewhere elsewhere_world(void);
uint64_t elsewhere_count(void);           /* answers that sent somebody elsewhere, so far */
void elsewhere_on_process(void);          /* another one begins, and knows nothing */
void elsewhere_on_line(const char *text); /* of its log */
/* True: the request is answered so. */
bool elsewhere_answers(const struct server_request *request, struct server_reply *reply);

#endif
