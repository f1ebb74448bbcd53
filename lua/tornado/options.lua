-- Options of a program, defined where they are used, and set by the command line and by files.
-- These functions work on one parser for all, `options`, which has those of the log already:
--
--     options.define("port", { default = 8888, help = "TCP port" })
--     options.parse_command_line()
--     app:listen(options.options.port)
--
-- ctornado's own options, in ctornado.conf, are in config.lua.
local log = require "tornado.log"
local OptionParser = require "tornado.options.parser"

local parser = OptionParser()
log.define_logging_options(parser)

local options = {
    Error = require("tornado.options.option").Error,
    OptionParser = OptionParser,
    options = parser,
}

--- See OptionParser:define().
function options.define(name, fields)
    parser:define(name, fields, 1)
end

--- See OptionParser:parse_command_line().
function options.parse_command_line(args, final)
    local rest = parser:parse_command_line(args, final, 1)
    return rest
end

--- See OptionParser:parse_config_file().
function options.parse_config_file(path, final)
    parser:parse_config_file(path, final, 1)
end

--- See OptionParser:print_help().
function options.print_help(file)
    parser:print_help(file, 1)
end

--- See OptionParser:add_parse_callback().
function options.add_parse_callback(fn)
    parser:add_parse_callback(fn, 1)
end

return options
