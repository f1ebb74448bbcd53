-- tornado.locale: translations from CSV and gettext, dates, lists, numbers. PARITY §7, §32.12.
local core = require "tornado.core"
local csv = require "tornado.locale.csv"
local dates = require "tornado.locale.dates"
local locale = require "tornado.locale"
local mo = require "tornado.locale.mo"
local plural = require "tornado.locale.plural"
local testing = require "tornado.testing"
local web = require "tornado.web"

local function write(path, text)
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
end

local roots = {}

-- A folder with these files (name -> text), for the length of the case.
local function folder(files)
    local root = os.tmpname()
    os.remove(root)
    assert(os.execute("mkdir " .. root) == 0)
    for name, text in pairs(files) do
        local parent = name:match("^(.*)/")
        if parent then os.execute("mkdir -p " .. root .. "/" .. parent) end
        write(root .. "/" .. name, text)
    end
    roots[#roots + 1] = root
    return root
end

-- As it was before any translations.
local function reset()
    locale.set_default_locale("en_US")
    locale.load_translations(folder {})
    os.execute("rm -r " .. table.concat(roots, " "))
    roots = {}
end

local function little(n)
    return string.char(n % 256, math.floor(n / 256) % 256, math.floor(n / 65536) % 256, 0)
end

local function big(n)
    return (little(n):reverse())
end

-- The bytes of a catalogue with these { id, translation }.
local function catalogue(entries, word)
    word = word or little
    local magic = word == little and "\222\18\4\149" or "\149\4\18\222"
    local ids, texts, strings = {}, {}, {}
    local at = 28 + #entries * 16
    for _, where in ipairs { 1, 2 } do
        for i, entry in ipairs(entries) do
            local text = entry[where]
            local row = where == 1 and ids or texts
            row[i] = word(#text) .. word(at)
            strings[#strings + 1] = text .. "\0"
            at = at + #text + 1
        end
    end
    return table.concat { magic, word(0), word(#entries), word(28), word(28 + #entries * 8),
        word(0), word(0), table.concat(ids), table.concat(texts), table.concat(strings) }
end

local FRENCH = {
    { "", "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=(n > 1);\n" },
    { "good\4right", "le bien" },
    { "law\4right", "le droit" },
    { "organization\4club\0organization\4clubs", "le club\0les clubs" },
    { "school", "école" },
    { "stick\4club\0stick\4clubs", "le bâton\0les bâtons" },
    { "apple\0apples", "pomme\0pommes" },
}

local function utf16(text, order)
    local out = {}
    for _, unit in ipairs(text) do
        local a, b = unit % 256, math.floor(unit / 256)
        out[#out + 1] = order == "le" and string.char(a, b) or string.char(b, a)
    end
    return table.concat(out)
end

describe("tornado.locale", function()
    after_each(reset)

    describe("get", function()
        it("takes the first code that is supported, exactly or by language", function()
            locale.load_translations(folder { ["fr.csv"] = "", ["pt_BR.csv"] = "" })
            for wanted, code in pairs {
                ["fr"] = "fr", ["fr-CA"] = "fr", ["FR_fr"] = "fr", ["FR"] = "fr",
                ["pt-br"] = "pt_BR", ["PT_BR"] = "pt_BR", ["pt"] = "en_US", [""] = "en_US",
                ["fr-CA-x"] = "en_US", ["*"] = "en_US", ["xx"] = "en_US",
            } do
                assert.equal(code, locale.get(wanted).code, wanted)
            end
            assert.equal("pt_BR", locale.get("zh-Hant-TW", nil, "xx", "pt-BR", "fr").code)
            assert.equal("en_US", locale.get().code)
            assert.same({ "en_US", "fr", "pt_BR" }, locale.get_supported_locales())
        end)

        it("has one Locale for each code", function()
            assert.equal(locale.get("en_US"), locale.Locale.get("en_US"))
            local ok, err = pcall(locale.Locale.get, "xx")
            assert.is_false(ok)
            assert.matches('unsupported locale "xx"', err)
        end)

        it("falls back to the default", function()
            locale.set_default_locale("de_DE")
            assert.equal("de_DE", locale.get("xx").code)
            assert.same({ "de_DE" }, locale.get_supported_locales())
        end)

        it("knows what languages are called, and which go from right to left", function()
            local count = 0
            for _ in pairs(locale.LOCALE_NAMES) do count = count + 1 end
            assert.equal(62, count)
            assert.equal("Español", locale.LOCALE_NAMES.es_LA.name)
            assert.equal("Spanish", locale.LOCALE_NAMES.es_LA.name_en)
            assert.equal("English (US)", locale.get("en_US").name)
            for code, rtl in pairs { ar = true, fa_IR = true, he_IL = true, en = false } do
                locale.set_default_locale(code)
                assert.equal(rtl, locale.get(code).rtl)
            end
            locale.set_default_locale("en")
            assert.equal("Unknown", locale.get("en").name)
        end)
    end)

    describe("CSV", function()
        it("is split as Excel writes it", function()
            assert.same({ { "a", "b c", "" }, {}, { 'say "x"', "two\nlines", "" } },
                csv.rows('a,b c,\n\n"say ""x""","two\r\nlines",""\r\n'))
            assert.same({ { 'a"b"', " \"c\"" }, { "ab", "open\n" } },
                csv.rows('a"b", "c"\r"a"b,"open\n'))
            assert.same({}, csv.rows(""))
            assert.same({ { "", "" } }, csv.rows(","))
        end)

        it("translates, with forms for one and for many", function()
            local messages = testing.expect_log("error", "Unrecognized plural indicator 'dual'")
            locale.load_translations(folder { ["es_LA.csv"] = table.concat({
                '"I love you","Te amo"',
                '"%(name)s liked this","A %(name)s les gustó","plural"',
                '"%(name)s liked this","A %(name)s le gustó","singular"',
                ' spaced , espacio , unknown ', "alone", "", '"x","y","dual"',
            }, "\n") })
            assert.matches("in es_LA.csv line 7$", messages.text)
            local es = locale.get("es-LA")
            assert.truthy(es:is(locale.CSVLocale))
            assert.equal("Te amo", es:translate("I love you"))
            assert.equal("espacio", es:translate("spaced"))
            assert.equal("x", es:translate("x"))
            local text = "%(name)s liked this"
            assert.equal(text, es:translate(text))
            assert.equal("A %(name)s le gustó", es:translate(text, text, 1))
            assert.equal("A %(name)s les gustó", es:translate(text, text, 2))
            assert.equal("things", es:translate("thing", "things", 0))
            assert.equal("thing", es:translate("thing", "things", 1))
        end)

        it("needs a count for a plural", function()
            local ok, err = pcall(function() locale.get("en"):translate("a", "b") end)
            assert.is_false(ok)
            assert.matches("locale_spec.lua:%d+: bad count: expected number, got nil", err)
        end)

        it("comes in UTF-8 and UTF-16, each file by its own mark", function()
            local row = { 0x61, 0x2c, 0xe9, 0x20ac, 0xd83d, 0xde00 }
            local root = folder {
                ["a.csv"] = "\255\254" .. utf16(row, "le"),
                ["b.csv"] = "a,é€😀",
                ["c.csv"] = "\254\255" .. utf16(row, "be"),
                ["d.csv"] = "\239\187\191a,é€😀",
            }
            locale.load_translations(root)
            for _, code in ipairs { "a", "b", "c", "d" } do
                assert.equal("é€😀", locale.get(code):translate("a"))
            end
        end)

        it("comes in the encoding that was named", function()
            locale.load_translations(folder { ["a.csv"] = utf16({ 0x61, 0x2c, 0xe9 }, "be") },
                "utf-16-be")
            assert.equal("é", locale.get("a"):translate("a"))
            assert.has_error(function() locale.load_translations(".", "latin-1") end)
        end)

        it("is refused when its bytes are not of the encoding", function()
            for text, why in pairs {
                ["\255\254a"] = "odd number of bytes", ["\255\254\0\220"] = "half a character",
                ["\255\254\0\216a\0"] = "half a character", ["\255\254\0\216"] = "half a char",
                ["a,\255"] = "expected UTF%-8",
            } do
                local ok, err = pcall(locale.load_translations, folder { ["a.csv"] = text })
                assert.is_false(ok)
                assert.matches("a.csv: expected.*", err)
                assert.matches(why, err)
            end
            assert.has_error(function() locale.load_translations("/no/such/folder") end)
        end)

        it("is skipped under another kind of name", function()
            local messages = testing.expect_log("error", "Unrecognized locale 'e[nN]")
            locale.load_translations(folder { ["eN.csv"] = "", ["en_us.csv"] = "",
                ["en.old.csv"] = "", ["notes.txt"] = "" })
            assert.equal(3, #messages.lines)
            assert.same({ "en_US" }, locale.get_supported_locales())
        end)

        it("replaces what was loaded before", function()
            locale.load_translations(folder { ["fr.csv"] = "a,b" })
            assert.equal("b", locale.get("fr"):translate("a"))
            locale.load_translations(folder { ["fr.csv"] = "a,c" })
            assert.equal("c", locale.get("fr"):translate("a"))
            locale.load_translations(folder {})
            assert.equal("en_US", locale.get("fr").code)
        end)

        it("has no contexts", function()
            assert.equal("right", locale.get("en"):pgettext("law", "right"))
            testing.expect_log("warning", "pgettext is not supported by CSVLocale")
            locale.load_translations(folder { ["fr.csv"] = "right,droit" })
            assert.equal("droit", locale.get("fr"):pgettext("good", "right"))
        end)
    end)

    describe("gettext", function()
        local function load(files)
            local paths = {}
            for code, bytes in pairs(files) do paths[code .. "/LC_MESSAGES/x.mo"] = bytes end
            locale.load_gettext_translations(folder(paths), "x")
        end

        it("translates, with contexts and plural forms", function()
            for _, word in ipairs { little, big } do
                load { fr_FR = catalogue(FRENCH, word) }
                local fr = locale.get("fr_FR")
                assert.truthy(fr:is(locale.GettextLocale))
                assert.equal("école", fr:translate("school"))
                assert.equal("le droit", fr:pgettext("law", "right"))
                assert.equal("le bien", fr:pgettext("good", "right"))
                assert.equal("le club", fr:pgettext("organization", "club", "clubs", 1))
                assert.equal("les clubs", fr:pgettext("organization", "club", "clubs", 2))
                assert.equal("les bâtons", fr:pgettext("stick", "club", "clubs", 2))
                assert.equal("pomme", fr:translate("apple", "apples", 0))
                assert.equal("pommes", fr:translate("apple", "apples", 2))
            end
        end)

        it("falls back to the message", function()
            load { fr = catalogue(FRENCH) }
            local fr = locale.get("fr")
            assert.equal("nothing", fr:translate("nothing"))
            assert.equal("thing", fr:translate("thing", "things", 1))
            assert.equal("things", fr:translate("thing", "things", 0))
            assert.equal("school", fr:pgettext("context", "school"))
            assert.equal("pommes", fr:pgettext("context", "apple", "apples", 5))
        end)

        it("takes from the language what a country has not", function()
            load { fr = catalogue(FRENCH), fr_CA = catalogue { { "car", "char" } } }
            assert.equal("char", locale.get("fr-CA"):translate("car"))
            assert.equal("école", locale.get("fr-CA"):translate("school"))
        end)

        it("reads what msgfmt makes", function()
            local root = folder { ["x.po"] = 'msgid ""\nmsgstr "Content-Type: text/plain; ' ..
                'charset=UTF-8\\nPlural-Forms: nplurals=3; plural=n==1 ? 0 : n%10>=2 && ' ..
                'n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2;\\n"\n\nmsgid "file"\nmsgid_plural ' ..
                '"files"\nmsgstr[0] "plik"\nmsgstr[1] "pliki"\nmsgstr[2] "plików"\n' }
            local made = os.execute(("msgfmt -o %s/x.mo %s/x.po 2>/dev/null"):format(root, root))
            if made ~= 0 then return pending("msgfmt is not installed") end
            local file = assert(io.open(root .. "/x.mo", "rb"))
            load { pl = file:read("*a") }
            file:close()
            local pl = locale.get("pl")
            for count, text in pairs { [1] = "plik", [2] = "pliki", [5] = "plików",
                [12] = "plików", [22] = "pliki", [0] = "plików" } do
                assert.equal(text, pl:translate("file", "files", count))
            end
        end)

        it("logs what is broken, and goes on", function()
            local messages = testing.expect_log("error", "Cannot load translation for 'de':")
            local good = catalogue(FRENCH)
            for _, bytes in ipairs {
                "", "x", ("x"):rep(40), good:sub(1, 40), good:sub(1, -60),
                catalogue { { "", "Content-Type: text/plain; charset=latin-1\n" } },
                catalogue { { "", "Plural-Forms: nplurals=2; plural=os.exit();\n" } },
                catalogue { { "a", "\255" } },
                good:sub(1, 8) .. "\255\255\255\255" .. good:sub(13),
                good:sub(1, 4) .. "\0\0\2\0" .. good:sub(9),
            } do
                load { de = bytes, fr = good }
                assert.equal("en_US", locale.get("de").code)
                assert.equal("école", locale.get("fr"):translate("school"))
            end
            assert.equal(10, #messages.lines)
        end)

        it("survives every cut of a catalogue", function()
            local good = catalogue(FRENCH)
            for n = 0, #good - 1 do
                local found, why = mo.parse(good:sub(1, n))
                assert.truthy(found or type(why) == "string")
            end
        end)
    end)

    describe("plural rules", function()
        it("are expressions of C", function()
            for text, expected in pairs {
                ["0"] = { 0, 0, 0, 0 }, ["n != 1"] = { 1, 0, 1, 1 }, ["n>1"] = { 0, 0, 1, 1 },
                ["n==1||n==2 ? 5 : n%3"] = { 0, 5, 5, 0 }, ["!n"] = { 1, 0, 0, 0 },
                ["!!n + 2*n - 1"] = { -1, 2, 4, 6 }, ["n/2"] = { 0, 0, 1, 1 },
                ["(n+1)*2"] = { 2, 4, 6, 8 }, ["n<=1&&n>=1"] = { 0, 1, 0, 0 },
                ["n?n==1?1:2:0"] = { 0, 1, 2, 2 }, ["5 % n"] = { 0, 0, 1, 2 },
                ["7 / n"] = { 0, 7, 3, 2 }, ["10 - 4 - n"] = { 6, 5, 4, 3 },
            } do
                local rule = assert(plural.compile(text))
                assert.same(expected, { rule(0), rule(1), rule(2), rule(3) }, text)
            end
        end)

        it("are nothing else", function()
            for _, text in ipairs { "", "n +", "x", "n n", "(n", "n)", "n ? 1", "n = 1", "n & 1",
                "os.exit()", "n; os", "1 .. 2", ("("):rep(30) .. "n" .. (")"):rep(30),
                ("!"):rep(500) .. "n", ("n+"):rep(600) .. "n", "n ? : 2" } do
                local rule, why = plural.compile(text)
                assert.is_nil(rule, text)
                assert.equal("string", type(why))
            end
        end)
    end)

    describe("format_date", function()
        local NOW = 1367174100 -- Sunday, April 28, 2013, 18:35
        local MINUTE, HOUR, DAY = 60, 3600, 86400

        local function shown(age, options, code)
            locale.set_default_locale(code or "en_US")
            return dates.format_date(locale.get(), NOW - age, options, NOW)
        end

        it("is relative on the same day", function()
            for age, text in pairs {
                [0] = "0 seconds ago", [1] = "1 second ago", [49] = "49 seconds ago",
                [50] = "1 minute ago", [90] = "2 minutes ago", [150] = "2 minutes ago",
                [50 * MINUTE - 1] = "50 minutes ago", [50 * MINUTE] = "1 hour ago",
                [1.5 * HOUR] = "2 hours ago", [2.5 * HOUR] = "2 hours ago",
                [DAY - 1] = "24 hours ago", [2.7] = "2 seconds ago",
            } do
                assert.equal(text, shown(age))
            end
        end)

        it("names day and time after that", function()
            for age, text in pairs {
                [DAY] = "yesterday at 6:35 pm", [2 * DAY - HOUR] = "Friday at 7:35 pm",
                [4 * DAY] = "Wednesday at 6:35 pm",
                [5 * DAY] = "April 23 at 6:35 pm",
                [333 * DAY] = "May 30 at 6:35 pm",
                [334 * DAY] = "May 29, 2012 at 6:35 pm",
            } do
                assert.equal(text, shown(age))
            end
            assert.equal("yesterday", shown(DAY, { shorter = true }))
            assert.equal("Friday", shown(2 * DAY, { shorter = true }))
            assert.equal("July 2", shown(300 * DAY, { shorter = true }))
            assert.equal("December 15, 2011", shown(500 * DAY, { shorter = true }))
        end)

        it("may be absolute", function()
            assert.equal("5:35 pm", shown(HOUR, { relative = false }))
            assert.equal("Saturday at 6:35 pm", shown(DAY, { relative = false }))
            assert.equal("April 28, 2013 at 6:35 pm", shown(0, { full_format = true }))
            assert.equal("April 28, 2013", shown(0, { full_format = true, shorter = true }))
            assert.equal("April 29, 2013 at 12:05 am",
                shown(0, { full_format = true, gmt_offset = -330 }))
        end)

        it("is full for the future, unless a clock is ahead", function()
            assert.equal("0 seconds ago", shown(-59))
            assert.equal("April 28, 2013 at 6:36 pm", shown(-60))
            assert.equal("April 29, 2013 at 6:35 pm", shown(-DAY - 30))
            assert.equal("April 28, 2013 at 6:35 pm", shown(-30, { relative = false }))
        end)

        it("has 24 hours outside of English, and words in Chinese", function()
            local full = { full_format = true }
            assert.equal("April 28, 2013 at 18:35", shown(0, full, "fr"))
            assert.equal("April 28, 2013 at 0:05", shown(18.5 * HOUR, full, "fr"))
            assert.equal("April 28, 2013 at 下午6:35", shown(0, full, "zh_CN"))
            assert.equal("April 28, 2013 at 上午12:05", shown(18.5 * HOUR, full, "zh_CN"))
            assert.equal("April 28, 2013 at 12:05 am", shown(18.5 * HOUR, full, "en"))
            assert.equal("April 28, 2013 at 12:35 pm", shown(6 * HOUR, full, "en"))
        end)

        it("is translated", function()
            locale.load_translations(folder { ["de.csv"] = 'April,April\nSunday,Sonntag\n' ..
                '"%(month_name)s %(day)s, %(year)s at %(time)s","%(day)s. %(month_name)s ' ..
                '%(year)s, %(time)s"\n1 minute ago,vor einer Minute,singular\n' ..
                '"%(weekday)s, %(month_name)s %(day)s","%(weekday)s, %(day)s. %(month_name)s"' })
            local de = locale.get("de")
            assert.equal("28. April 2013, 18:35", de:format_date(NOW))
            assert.equal("vor einer Minute", de:format_date(core.now() - 61))
            assert.equal("Sonntag, 28. April", de:format_day(NOW))
        end)

        it("takes tables in UTC, and nothing else", function()
            local en = locale.get("en_US")
            local date = { year = 2013, month = 4, day = 28, hour = 18, min = 35 }
            assert.equal("April 28, 2013 at 6:35 pm", en:format_date(date))
            assert.equal("Sunday, April 28", en:format_day(date))
            assert.equal("April 28", en:format_day(date, { dow = false }))
            assert.equal("Monday, April 29", en:format_day(date, { gmt_offset = -330 }))
            for _, bad in ipairs { "today", {}, 0 / 0 } do
                local ok, err = pcall(function() en:format_date(bad) end)
                assert.is_false(ok)
                assert.matches("locale_spec.lua:%d+: bad date: expected seconds", err)
            end
            local ok, err = pcall(function() en:format_date(0, { relativ = true }) end)
            assert.is_false(ok)
            assert.matches('locale_spec.lua:%d+: format_date: unknown option "relativ"', err)
        end)
    end)

    it("joins lists", function()
        local en = locale.get("en_US")
        assert.equal("", en:list {})
        assert.equal("A", en:list { "A" })
        assert.equal("A and B", en:list { "A", "B" })
        assert.equal("A, B and %(last)s", en:list { "A", "B", "%(last)s" })
        locale.set_default_locale("fa_IR")
        assert.equal("A و B and C", locale.get():list { "A", "B", "C" })
    end)

    it("writes numbers", function()
        local en = locale.get("en_US")
        for value, text in pairs { [0] = "0", [999] = "999", [1000] = "1,000",
            [1000000] = "1,000,000", [-123456] = "-123,456", [-1234567] = "-1,234,567" } do
            assert.equal(text, en:friendly_number(value))
        end
        locale.set_default_locale("de")
        assert.equal("-1234567", locale.get():friendly_number(-1234567))
        for _, bad in ipairs { 1.5, "1", 1 / 0, 0 / 0 } do
            assert.has_error(function() en:friendly_number(bad) end)
        end
    end)
end)

describe("a handler's locale", function()
    local function codes(fields, methods)
        local Handler = web.RequestHandler:extend "Handler"
        for name, method in pairs(methods or {}) do Handler[name] = method end
        function Handler:get()
            local found = self:locale()
            assert(found == self:locale())
            self:write(found.code)
        end
        local server = testing.serve(web.Application { { "/", Handler } })
        local out = {}
        for i, field in ipairs(fields) do
            local response = server:fetch("/", { headers = field and
                { ["Accept-Language"] = field } or {} })
            out[i] = response.body
        end
        return out
    end

    before_each(function()
        locale.load_translations(folder { ["fr.csv"] = "", ["de.csv"] = "", ["pt_BR.csv"] = "" })
    end)

    after_each(reset)

    it("is what the browser likes best", function()
        assert.same({ "en_US", "fr", "de", "de", "pt_BR", "fr", "de", "en_US", "en_US", "de" },
            codes { false, "fr-CA", "fr;q=0.5, de", "fr;q=0.1,de;q=0.2,xx", " pt-br ; q=0.9,fr;q=0",
                "fr,de", "fr;q=-1,de;q= 0.1", "fr;q=x", "*;q=1", "fr;q=0x1, de;q=1e-3" })
    end)

    it("looks at the first parameter alone", function()
        assert.same({ "fr", "de" }, codes { "fr;level=1;q=0.1,de;q=0.5", "fr;q=0.1;x=1,de;q=0.5" })
    end)

    it("stays quick for a field without end", function()
        assert.same({ "en_US" }, codes { ("xx,"):rep(7000) .. "fr" })
    end)

    it("is what the user chose, or what was set", function()
        assert.same({ "de" }, codes({ "fr" },
            { get_user_locale = function() return locale.get("de") end }))
        assert.same({ "pt_BR" }, codes({ "fr" },
            { prepare = function(self)
                assert(not pcall(self.set_locale, self, "pt_BR"))
                self:set_locale(locale.get("pt_BR"))
            end }))
    end)
end)
