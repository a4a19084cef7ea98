/* stock: what there is to move: draws the items of a scenario, puts them where they come from, and
 * changes them while processes run. */
#ifndef TESTS_SIM_STOCK_H
#define TESTS_SIM_STOCK_H

#include "tests/sim/items.h"

void stock_draw(void);
void stock_put(void); /* all of them; some targets have something of their name already */
void stock_put_item(struct item *item); /* as it is now */
void stock_remove(struct item *item);
void stock_draw_changes(void); /* of files, from now on */
/* The object gets other content now. */
struct store_object *stock_change_object(struct store_object *object);

#endif
