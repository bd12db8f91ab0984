/* rm -rf of what a script may have left: any depth, any modes, no links. */
#pragma once

/* name below dir_fd. Nothing is followed; what is gone is no error. 0 or
 * negative errno. */
int remove_tree(int dir_fd, const char *name);
