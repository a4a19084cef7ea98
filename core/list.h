/* list: an intrusive, circular, doubly linked list. A link is in at most one list; a link that is
 * in none points at itself, so list_remove() of it is harmless. */
#ifndef CORE_LIST_H
#define CORE_LIST_H

#include "core/base.h"

struct link {
    struct link *next;
    struct link *previous;
};

struct list {
    struct link head;
};

static inline void link_init(struct link *link)
{
    link->next = link;
    link->previous = link;
}

static inline bool link_is_free(const struct link *link)
{
    return link->next == link;
}

static inline void list_init(struct list *list)
{
    link_init(&list->head);
}

static inline bool list_is_empty(const struct list *list)
{
    return list->head.next == &list->head;
}

static inline void list_push(struct list *list, struct link *link) /* at the end */
{
    link->previous = list->head.previous;
    link->next = &list->head;
    list->head.previous->next = link;
    list->head.previous = link;
}

static inline void list_push_front(struct list *list, struct link *link)
{
    link->next = list->head.next;
    link->previous = &list->head;
    list->head.next->previous = link;
    list->head.next = link;
}

static inline void list_remove(struct link *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    link_init(link);
}

static inline struct link *list_first(const struct list *list) /* NULL when empty */
{
    return list_is_empty(list) ? NULL : list->head.next;
}

static inline struct link *list_pop(struct list *list) /* from the front; NULL when empty */
{
    struct link *link = list_first(list);
    if (link) list_remove(link);
    return link;
}

/* All of `from` to the end of `to`; `from` is empty afterwards. */
static inline void list_move_all(struct list *to, struct list *from)
{
    if (list_is_empty(from)) return;
    from->head.next->previous = to->head.previous;
    from->head.previous->next = &to->head;
    to->head.previous->next = from->head.next;
    to->head.previous = from->head.previous;
    list_init(from);
}

#endif
