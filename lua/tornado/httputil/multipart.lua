-- multipart/form-data: whole bodies into arguments and files, and bodies that are streamed
-- into memory, files or callbacks. Both go through the scanner in C (http/multipart.h);
-- the first thing that is wrong ends it with one HTTPInputError.
local core = require "tornado.core"
local HTTPHeaders = require "tornado.httputil.headers"
local HTTPInputError = require("tornado.httputil.errors").HTTPInputError
local params = require "tornado.httputil.params"
local util = require "tornado.util"

local concat, find, match, sub = table.concat, string.find, string.match, string.sub
local multipart_next = core.multipart_next
local MORE, HEADER, BEGIN = core.MULTIPART_MORE, core.MULTIPART_HEADER, core.MULTIPART_BEGIN
local DATA, END, DONE = core.MULTIPART_DATA, core.MULTIPART_END, core.MULTIPART_DONE

local multipart = {}

local function bad(reason, ...)
    error(HTTPInputError("Invalid multipart/form-data: " .. reason, ...), 0)
end

-- Configuration ------------------------------------------------------------------------

--- Limits of forms that are parsed whole: enabled (true), max_parts (100, of which Tornado counts
--- the empty one before the first: 99 fields pass), max_part_header_size (10240).
function multipart.ParseMultipartConfig(options)
    local config = util.options(options,
        { enabled = true, max_parts = 100, max_part_header_size = 10240 }, "ParseMultipartConfig")
    return config
end

--- What set_parse_body_config() takes: { multipart = ParseMultipartConfig }.
function multipart.ParseBodyConfig(options)
    local config = util.options(options, { multipart = util.NONE }, "ParseBodyConfig")
    config.multipart = config.multipart or multipart.ParseMultipartConfig()
    return config
end

local current = multipart.ParseBodyConfig()

--- Sets how bodies are parsed from now on, in all applications.
function multipart.set_parse_body_config(config)
    if type(config) ~= "table" or type(config.multipart) ~= "table" then
        error("bad config: expected ParseBodyConfig, got " .. util.shown(config), 2)
    end
    current = config
end

-- Headers ------------------------------------------------------------------------------

--- The boundary in a Content-Type; raises HTTPInputError for one that is no
--- multipart/form-data, or has none.
function multipart.boundary_of(content_type)
    local kind, values = params.parse(content_type)
    if kind ~= "multipart/form-data" then bad("not its content type") end
    local boundary = values.boundary
    if type(boundary) ~= "string" or boundary == "" then bad("no boundary") end
    return boundary
end

-- A name without folders, whether "/" or Windows made them. A backslash of any other name stays.
local function basename(filename)
    filename = match(filename, "[^/]*$")
    if find(filename, "^%a:\\") or find(filename, "^\\\\") then
        filename = match(filename, "[^\\]*$")
    end
    if filename == "" or filename == "." or filename == ".." or
        find(filename, "[%z\1-\8\10-\31]") then
        bad("bad filename")
    end
    return filename
end

-- { name =, filename = or nil, content_type =, headers = } of a part's header.
local function read_header(block)
    if not core.is_utf8(block) then bad("part header is not UTF-8") end
    local headers = HTTPHeaders.parse(sub(block, 1, -5))
    local kind, values = params.parse(headers:get("Content-Disposition", ""))
    if kind ~= "form-data" then bad("wrong Content-Disposition") end
    local name, filename = values.name, values.filename
    if type(name) ~= "string" or name == "" then bad("missing name") end
    if type(filename) ~= "string" or filename == "" then
        filename = nil
    else
        filename = basename(filename)
    end
    return { name = name, filename = filename, headers = headers,
        content_type = headers:get("Content-Type", "application/unknown") }
end

-- Whole bodies -------------------------------------------------------------------------

--- A file of a form: filename (without folders), body, content_type.
-- Tornado: the filename is as the client sent it.
local HTTPFile = util.Object:extend "HTTPFile"
multipart.HTTPFile = HTTPFile

function HTTPFile:init(fields)
    util.expect(fields, "table", "fields", 1)
    self.filename, self.body = fields.filename, fields.body
    self.content_type = fields.content_type
end

local function append(lists, name, value)
    local values = lists[name]
    if values then values[#values + 1] = value else lists[name] = { value } end
end

local function keep(part, pieces, arguments, files)
    local body = concat(pieces)
    if part.filename then
        part.body = body
        append(files, part.name, HTTPFile(part))
    else
        append(arguments, part.name, body)
    end
end

local function scanner(boundary, max_parts, max_header)
    local scan = core.multipart(boundary, max_parts, max_header)
    if not scan then bad("bad boundary") end
    return scan
end

--- Takes a boundary (quoted or not), a body, and the maps to which the form's arguments and files
--- are appended; raises HTTPInputError for anything malformed.
-- Tornado: the last "--boundary--" ends the form, wherever it stands; here the first at the
-- start of a line does (RFC 2046 §5.1.1).
function multipart.parse_multipart_form_data(boundary, data, arguments, files, config)
    util.expect(boundary, "string", "boundary")
    util.expect(data, "string", "body")
    util.expect(arguments, "table", "arguments")
    util.expect(files, "table", "files")
    config = config or current.multipart
    if not config.enabled then bad("parsing is disabled") end
    boundary = match(boundary, '^"(.*)"$') or boundary
    local scan = scanner(boundary, config.max_parts - 1, config.max_part_header_size)
    local at, part, pieces = 0, nil, nil
    while true do
        local event, stop, text = multipart_next(scan, data, at)
        at = stop
        if event == DATA then
            pieces[#pieces + 1] = text
        elseif event == BEGIN then
            part, pieces = read_header(text), {}
        elseif event == END then
            keep(part, pieces, arguments, files)
        elseif event == DONE then
            return
        elseif event == MORE or event == HEADER then
            bad("no final boundary")
        else
            bad(text)
        end
    end
end

--- As parse_multipart_form_data(), with the boundary in a Content-Type.
function multipart.parse(content_type, body, arguments, files, config)
    multipart.parse_multipart_form_data(multipart.boundary_of(content_type), body, arguments,
        files, config)
end

multipart.read_header, multipart.scanner, multipart.bad = read_header, scanner, bad

return multipart
