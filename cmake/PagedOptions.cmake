# Flags that every target gets through the interface library paged_options, and where to find what we depend on.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

set(PAGED_SANITIZE "" CACHE STRING "sanitizers, as for -fsanitize=")
option(PAGED_FUZZ "build the libFuzzer targets (clang)" OFF)
option(PAGED_PEERS "build the benchmark against other allocators and stores (their packages, C++)" OFF)
option(PAGED_COVERAGE "build with gcov counters" OFF)

add_library(paged_options INTERFACE)
target_include_directories(paged_options INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
target_compile_definitions(paged_options INTERFACE _GNU_SOURCE)
include(CheckIncludeFile)
check_include_file(sys/sdt.h PAGED_HAVE_SDT) # tracepoints: include/paged/probe.h
if(PAGED_HAVE_SDT)
	target_compile_definitions(paged_options INTERFACE PAGED_USDT)
endif()
if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug" AND NOT PAGED_SANITIZE)
	target_compile_definitions(paged_options INTERFACE _FORTIFY_SOURCE=2)
endif()
target_compile_options(paged_options INTERFACE
	-fstack-protector-strong -fno-strict-aliasing
	$<$<CONFIG:Debug>:-fno-omit-frame-pointer>)
target_link_options(paged_options INTERFACE -Wl,-z,relro,-z,now)

# Warnings for our own code; generated code links paged_options only.
add_library(paged_warnings INTERFACE)
target_compile_options(paged_warnings INTERFACE
	-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes -Wmissing-prototypes
	-Wswitch-enum -Wvla -Wcast-qual -Wformat=2 -Wundef -Werror)

if(PAGED_SANITIZE)
	target_compile_options(paged_options INTERFACE -fsanitize=${PAGED_SANITIZE} -fno-sanitize-recover=all)
	target_link_options(paged_options INTERFACE -fsanitize=${PAGED_SANITIZE})
endif()
if(PAGED_COVERAGE)
	target_compile_options(paged_options INTERFACE --coverage)
	target_link_options(paged_options INTERFACE --coverage)
endif()
if(PAGED_FUZZ)
	target_compile_options(paged_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(LIBUV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(INIH REQUIRED IMPORTED_TARGET inih)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(SYSTEMD IMPORTED_TARGET libsystemd)
find_program(PROTOC_C NAMES protoc-c REQUIRED)
