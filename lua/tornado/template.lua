-- Templates after tornado.template, with Lua in them: a table of contents over template/*.lua.
-- A template is compiled to one Lua function that writes into a buffer.
local lexer = require "tornado.template.lexer"
local loader = require "tornado.template.loader"
local parser = require "tornado.template.parser"

return {
    BaseLoader = loader.BaseLoader,
    DictLoader = loader.DictLoader,
    Loader = loader.Loader,
    ParseError = lexer.ParseError,
    Template = loader.Template,
    filter_whitespace = parser.filter_whitespace,
}
