// nanobind's own code, compiled into the module (setup.py adds its folder to the include path).
#include <nb_combined.cpp>
