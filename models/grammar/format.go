package grammar

// formats are the supported values of "format", as patterns. Each is the
// format's own definition or a plain part of it.
var formats = map[string]string{
	"date":      `^` + datePattern + `$`,
	"time":      `^` + timePattern + `$`,
	"date-time": `^` + datePattern + `T` + timePattern + `$`,
	// RFC 3339, appendix A, without weeks mixed in; seconds are whole.
	"duration": `^P(\d{1,4}W|(\d{1,4}Y(\d{1,4}M(\d{1,4}D)?)?|\d{1,4}M(\d{1,4}D)?|\d{1,4}D)(T` + clockPattern + `)?|T` + clockPattern + `)$`,
	// RFC 5321 with a dot-string and a domain name.
	"email":    `^[A-Za-z0-9_%+\-]{1,15}(\.[A-Za-z0-9_%+\-]{1,15}){0,2}@` + labelPattern + `(\.` + labelPattern + `){0,2}\.[A-Za-z]{2,8}$`,
	"hostname": `^` + labelPattern + `(\.` + labelPattern + `){0,3}$`,
	"ipv4":     `^(` + octetPattern + `\.){3}` + octetPattern + `$`,
	"ipv6":     `^([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}$`,
	"uri":      `^https?://` + labelPattern + `(\.` + labelPattern + `){0,3}(:[1-9][0-9]{0,3})?(/[A-Za-z0-9._~\-]*)*(\?[A-Za-z0-9._~=&\-]*)?(#[A-Za-z0-9._~\-]*)?$`,
	"uuid":     `^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`,
}

const (
	// RFC 3339: the 29th of February only in leap years of the Gregorian calendar.
	datePattern = `(\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))` +
		`|(\d\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)`
	// RFC 3339 without leap seconds, whose validity depends on the offset.
	timePattern  = `([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+\-]([01]\d|2[0-3]):[0-5]\d)`
	clockPattern = `(\d{1,4}H(\d{1,4}M(\d{1,4}S)?)?|\d{1,4}M(\d{1,4}S)?|\d{1,4}S)`
	// RFC 1123; a label neither begins nor ends with a hyphen.
	labelPattern = `[A-Za-z0-9]([A-Za-z0-9\-]{0,20}[A-Za-z0-9])?`
	octetPattern = `(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)`
)

// unsupportedFormats are those of the specification that are not in formats.
// Other values of "format" are annotations.
var unsupportedFormats = map[string]bool{
	"idn-email": true, "idn-hostname": true, "uri-reference": true, "iri": true, "iri-reference": true,
	"uri-template": true, "json-pointer": true, "relative-json-pointer": true, "regex": true,
}
