/* The maker of CSV: reports of test/rats/csv_build.h with the keys of pki/. */
#include "maker.h"

#include "csv_build.h"
#include "maker_file.h"

static void chip(struct csv_forgery *f)
{
	if (!csv_keys[0])
		maker_keys("hygon.pem", csv_keys, ARRAY_LEN(csv_keys));
	csv_honest(f);
}

size_t maker_csv_report(unsigned version, const uint8_t report_data[64], const uint8_t mnonce[16],
			uint8_t *out)
{
	struct csv_forgery f;

	chip(&f);
	f.version = version;
	f.report_data = report_data;
	f.mnonce = mnonce;
	return csv_make_report(&f, out);
}

void maker_hygon_publish(const char *dir)
{
	uint8_t hsk_cek[CSV_CA_SIZE + CSV_CERT_SIZE], hrk[CSV_CA_SIZE];
	struct csv_forgery f;

	chip(&f);
	csv_make_ca(hrk, CSV_KEY_HRK, CSV_KEY_HRK, CSV_USAGE_HRK, CSV_TEST_UID);
	csv_make_ca(hsk_cek, CSV_KEY_HSK, CSV_KEY_HRK, CSV_USAGE_HSK, CSV_TEST_UID);
	csv_make_cert(hsk_cek + CSV_CA_SIZE, CSV_KEY_CEK, CSV_KEY_HSK, CSV_USAGE_CEK, CSV_USAGE_HSK,
		      3);
	maker_write(dir, "hygon-hrk.cert", hrk, sizeof(hrk));
	maker_write(dir, "hygon-hsk-cek.cert", hsk_cek, sizeof(hsk_cek));
}
