/*
 * Memory that was needed once. Many sidecars stand on one host, most of them
 * idle: what start-up and key parsing touched is given back.
 */
#pragma once

/* Before anything is allocated: one arena, small steps, back to the kernel. */
void memory_stay_small(void);

/*
 * Gives free heap back, and unmaps the program's code and constants: clean
 * pages of the file, which the kernel maps again (in 1 us each, from the page
 * cache) where they are used again. Without it a static program keeps 3 MB
 * mapped of which it uses a fifth.
 */
void memory_release(void);
