/*
 * `cronium-runner install DIR --sha256 HEX`: a tar.gz from stdin, unpacked as
 * DIR at once or not at all. Nothing of it is used before its hash is right;
 * where DIR is from the same bytes already, nothing happens.
 */
#pragma once

/* argv[0] is "install". Returns the exit code of the program. */
int install_main(int argc, char **argv);
