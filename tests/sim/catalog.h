/* catalog: how the model server lists its objects: in the byte order of their keys, or in another
 * one, if the seed's server is such (forest.h). */
#ifndef TESTS_SIM_CATALOG_H
#define TESTS_SIM_CATALOG_H

#include "tests/sim/server.h"

/* ListObjectsV2: a page. */
void catalog_list(struct server_request *request, struct server_reply *reply);

#endif
